import type { Metadata, SharpOptions } from 'sharp'
import { assert } from '../../shared/assert.ts'
import { pictureLimits } from '../../shared/domain/picture-header.ts'
import { openDecoder } from './decoder.ts'
import { type PictureFormat, recogniseFile } from './file-kind.ts'
import { inputError } from './input-error.ts'
import { formatSize, type Picture } from './picture.ts'
import { keepDrawnChunks } from './png-chunks.ts'

/** A file that a person sent, as pixels. */
export type ReadPicture = {
  readonly field: string
  readonly picture: Picture
  /** One byte per pixel, 255 = opaque; null when every pixel is opaque. */
  readonly alpha: Uint8Array | null
  /** What was done to the file's own values, one sentence each, for the output of the job. */
  readonly changes: readonly string[]
}

type Header = Pick<Metadata, 'orientation' | 'depth' | 'space' | 'hasProfile'>
/** Interleaved values: 3 or 4 channels, of 8 or 16 bits. */
type Decoded = { readonly data: Buffer; readonly info: Picked }
type Picked = { readonly width: number; readonly height: number; readonly channels: number }

const opaque = 255
const decodeMaxSeconds = 60
/** By EXIF orientation 2 to 8 (EXIF 3.0, tag 0x0112). */
const turns = [
  'mirrored',
  'rotated',
  'mirrored',
  'mirrored and rotated',
  'rotated',
  'mirrored and rotated',
  'rotated',
]

/**
 * Reads an untrusted PNG, JPEG or WebP file. 8-bit RGB of a PNG comes out byte for byte. Turned
 * upright by its EXIF orientation; 16 bits become round(v / 257); CMYK goes through its colour
 * profile (or a common one) to sRGB. An RGB profile is not applied: the values are the data, and
 * diffusers takes them as they are too. Colours below a transparent pixel stay as they are. Bytes
 * behind the picture are ignored.
 * @param field where the file came from, such as `inputs[0]`; errors and changes name it.
 * @throws AppError request.invalid for other formats, animations, damaged or cut off files, and
 *   sizes over `pictureLimits`, which are checked before decoding.
 */
export async function readPicture(bytes: Uint8Array, field: string): Promise<ReadPicture> {
  const file = await readPixels(bytes, field)
  if (file.alpha === null) return file
  const change = `${field}: alpha set aside, colours kept as they are`
  return { ...file, changes: [...file.changes, change] }
}

/** readPicture for those who use the alpha, so that no change is said about it. */
export async function readPixels(bytes: Uint8Array, field: string): Promise<ReadPicture> {
  const file = checkFile(bytes, field)
  const header = await readHeader(file, field)
  const decoded = await decode(file.bytes, header).catch((cause: unknown) => {
    throw damaged(field, file.format, cause)
  })
  const { picture, alpha } = separate(decoded, header.depth === 'ushort' ? 16 : 8)
  const changes = describeChanges(header).map((change) => `${field}: ${change}`)
  return { field, picture, alpha, changes }
}

type PictureFile = {
  readonly bytes: Uint8Array
  readonly format: PictureFormat
  readonly hasProfile: boolean
}

function checkFile(bytes: Uint8Array, field: string): PictureFile {
  const { fileBytesMax } = pictureLimits
  if (bytes.length > fileBytesMax) {
    throw inputError(field, `has ${bytes.length} bytes; at most ${fileBytesMax} are read`)
  }
  const recognised = recogniseFile(bytes)
  if (recognised.kind === 'Other') {
    throw inputError(field, `is ${recognised.name}; send PNG, JPEG or WebP`)
  }
  const { format } = recognised
  if (format !== 'PNG') return { bytes, format, hasProfile: false }
  return { format, ...keepDrawnChunks(bytes, field) }
}

async function readHeader(file: PictureFile, field: string): Promise<Header> {
  const { bytes, format } = file
  const metadata = await openDecoder()(bytes, { limitInputPixels: false })
    .metadata()
    .catch((cause: unknown) => {
      throw damaged(field, format, cause)
    })
  const { width, height, pages = 1 } = metadata
  const { sideMax, pixelsMax } = pictureLimits
  if (Math.max(width, height) > sideMax || width * height > pixelsMax) {
    const limits = `at most ${sideMax} pixels a side and ${pixelsMax} in all are read`
    throw inputError(field, `is ${formatSize(metadata)}; ${limits}`)
  }
  if (pages > 1) throw inputError(field, `is an animated ${format}; send one picture`)
  return { ...metadata, hasProfile: file.hasProfile || metadata.hasProfile }
}

async function decode(bytes: Uint8Array, header: Header): Promise<Decoded> {
  const options: SharpOptions = {
    autoOrient: true,
    failOn: 'warning',
    ignoreIcc: header.space !== 'cmyk',
    limitInputPixels: pictureLimits.pixelsMax,
  }
  const wide = header.depth === 'ushort'
  return await openDecoder()(bytes, options)
    .toColourspace(wide ? 'rgb16' : 'srgb')
    .raw({ depth: wide ? 'ushort' : 'uchar' })
    .timeout({ seconds: decodeMaxSeconds })
    .toBuffer({ resolveWithObject: true })
}

function damaged(field: string, format: PictureFormat, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : 'unknown'
  return inputError(
    field,
    `is a ${format} file that is damaged or cut off (${toLine(reason)})`,
    cause,
  )
}

function toLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().slice(0, 120)
}

function separate({ data, info }: Decoded, bits: 8 | 16): Pick<ReadPicture, 'picture' | 'alpha'> {
  const { width, height, channels } = info
  const values = bits === 8 ? new Uint8Array(data.buffer, data.byteOffset, data.length) : to8(data)
  assert(channels === 3 || channels === 4, 'a decoded picture has three colours, maybe an alpha')
  assert(values.length === width * height * channels, 'a decoded picture is complete')
  if (channels === 3) return { picture: { width, height, pixels: values }, alpha: null }
  const pixels = new Uint8Array(width * height * 3)
  const alpha = new Uint8Array(width * height)
  for (let at = 0; at < alpha.length; at++) {
    pixels[at * 3] = values[at * 4]
    pixels[at * 3 + 1] = values[at * 4 + 1]
    pixels[at * 3 + 2] = values[at * 4 + 2]
    alpha[at] = values[at * 4 + 3]
  }
  const isOpaque = alpha.every((value) => value === opaque)
  return { picture: { width, height, pixels }, alpha: isOpaque ? null : alpha }
}

/** 65,535 = 255 · 257, so this is exact where an 8-bit value was widened. */
function to8(data: Buffer): Uint8Array {
  const wide = new Uint16Array(data.buffer, data.byteOffset, data.length / 2)
  const values = new Uint8Array(wide.length)
  for (let at = 0; at < wide.length; at++) values[at] = Math.round(wide[at] / 257)
  return values
}

function describeChanges(header: Header): readonly string[] {
  const { orientation = 1, depth, space, hasProfile } = header
  const turn = turns[orientation - 2]
  const isCmyk = space === 'cmyk'
  const profile = 'RGB values taken as sRGB, the embedded colour profile is not applied'
  return [
    ...(turn === undefined ? [] : [`${turn} as its EXIF orientation ${orientation} says`]),
    ...(depth === 'ushort' ? ['16-bit values reduced to 8'] : []),
    ...(isCmyk ? [`CMYK converted to sRGB by ${hasProfile ? 'its' : 'a common'} profile`] : []),
    ...(hasProfile && !isCmyk ? [profile] : []),
  ]
}
