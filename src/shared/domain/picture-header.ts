/** What the first bytes of a picture file say, read without decoding it: no pixel is trusted. */
export type PictureHeader = {
  readonly contentType: PictureType
  /** As shown, that is after the EXIF orientation; null where that stands at the end of the file. */
  readonly size: { readonly width: number; readonly height: number } | null
}

export const pictureTypes = ['image/png', 'image/jpeg', 'image/webp'] as const
export type PictureType = (typeof pictureTypes)[number]

/** What the image engine reads; more is refused before anything is decoded. */
export const pictureLimits = {
  fileBytesMax: 33_554_432,
  sideMax: 8192,
  pixelsMax: 40_000_000,
  /** The size stands within so many bytes, also behind a camera's thumbnails and profiles. */
  headBytesMax: 1_048_576,
} as const

/** The type by the first twelve bytes, or null when it is none of ours. */
export function sniffPicture(bytes: Uint8Array): PictureType | null {
  if (hasText(bytes, 0, '\x89PNG\r\n\x1a\n')) return 'image/png'
  if (hasText(bytes, 0, '\xff\xd8\xff')) return 'image/jpeg'
  return hasText(bytes, 0, 'RIFF') && hasText(bytes, 8, 'WEBP') ? 'image/webp' : null
}

/**
 * Reads type and size from the beginning of a file. Returns a sentence for people where there is no
 * picture, or one that is too large to be read later.
 */
export function readPictureHeader(head: Uint8Array): PictureHeader | string {
  const contentType = sniffPicture(head)
  if (contentType === null) return 'is neither a PNG, a JPEG nor a WebP picture'
  const { width, height, orientation } = readers[contentType](head)
  const isWhole = [width, height].every((side) => Number.isInteger(side) && side > 0)
  if (!isWhole) return `says ${contentType} but has no size at its beginning`
  const { sideMax, pixelsMax } = pictureLimits
  if (Math.max(width, height) > sideMax || width * height > pixelsMax) {
    return `has ${width}x${height} pixels; at most ${pixelsMax}, ${sideMax} on a side, are taken`
  }
  if (orientation === 'Unknown') return { contentType, size: null }
  // Orientations 5 to 8 of TIFF 6.0 lie on their side.
  const size = orientation >= 5 ? { width: height, height: width } : { width, height }
  return { contentType, size }
}

/** Numbers are NaN where the file ends too early. */
type Found = {
  readonly width: number
  readonly height: number
  readonly orientation: number | 'Unknown'
}

const readers: Readonly<Record<PictureType, (bytes: Uint8Array) => Found>> = {
  'image/png': readPng,
  'image/jpeg': readJpeg,
  'image/webp': readWebp,
}

const nothing: Found = { width: Number.NaN, height: Number.NaN, orientation: 1 }

/** PNG 3rd edition: IHDR comes first; an eXIf chunk stands somewhere before or after the pixels. */
function readPng(bytes: Uint8Array): Found {
  if (!hasText(bytes, 12, 'IHDR')) return nothing
  const size = { width: bigEndian(bytes, 16, 4), height: bigEndian(bytes, 20, 4) }
  for (let at = 8; at < bytes.length && !hasText(bytes, at + 4, 'IDAT');) {
    if (hasText(bytes, at + 4, 'eXIf')) return { ...size, orientation: readTiff(bytes, at + 8) }
    at += 12 + bigEndian(bytes, at, 4)
  }
  return { ...size, orientation: 1 }
}

/** ITU T.81: segments until the frame header, SOF0 to SOF15 without DHT, JPG and DAC. */
function readJpeg(bytes: Uint8Array): Found {
  let orientation = 1
  for (let at = 2; at < bytes.length; at += 2 + bigEndian(bytes, at + 2, 2)) {
    while (bytes[at + 1] === 0xff) at += 1
    const marker = markerAt(bytes, at)
    if (isFrameHeader(marker)) {
      const [height, width] = [bigEndian(bytes, at + 5, 2), bigEndian(bytes, at + 7, 2)]
      return { width, height, orientation }
    }
    if (marker < 0xc0 || marker === endOfImage || marker === startOfScan) return nothing
    const isExif = marker === exifSegment && hasText(bytes, at + 4, 'Exif\0\0')
    if (isExif) orientation = readTiff(bytes, at + 10)
  }
  return nothing
}

const endOfImage = 0xd9
const startOfScan = 0xda
const exifSegment = 0xe1
const otherThanFrames: readonly number[] = [0xc4, 0xc8, 0xcc]

/** 0 where there is none: what follows is no JPEG. */
function markerAt(bytes: Uint8Array, at: number): number {
  return bytes[at] === 0xff ? (bytes[at + 1] ?? 0) : 0
}

function isFrameHeader(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && !otherThanFrames.includes(marker)
}

/** RFC 9649: the first chunk is a lossy or a lossless picture, or the extended header. */
function readWebp(bytes: Uint8Array): Found {
  if (hasText(bytes, 12, 'VP8 ') && hasText(bytes, 23, '\x9d\x01\x2a')) {
    const [width, height] = [
      littleEndian(bytes, 26, 2) % 0x4000,
      littleEndian(bytes, 28, 2) % 0x4000,
    ]
    return { width, height, orientation: 1 }
  }
  if (hasText(bytes, 12, 'VP8L') && bytes[20] === 0x2f) {
    const bits = littleEndian(bytes, 21, 4)
    const height = Math.floor(bits / 0x4000) % 0x4000
    return { width: (bits % 0x4000) + 1, height: height + 1, orientation: 1 }
  }
  if (!hasText(bytes, 12, 'VP8X')) return nothing
  const hasExif = ((bytes[20] ?? 0) & 0x08) !== 0
  const [width, height] = [littleEndian(bytes, 24, 3) + 1, littleEndian(bytes, 27, 3) + 1]
  return { width, height, orientation: hasExif ? 'Unknown' : 1 }
}

/** Tag 0x0112 of the first directory of a TIFF file (EXIF 3.0); 1 where there is none. */
function readTiff(bytes: Uint8Array, start: number): number {
  const read = hasText(bytes, start, 'II') ? littleEndian : bigEndian
  const directory = start + read(bytes, start + 4, 4)
  const count = Math.min(read(bytes, directory, 2), 512)
  for (let index = 0; index < count; index += 1) {
    const entry = directory + 2 + 12 * index
    if (read(bytes, entry, 2) !== 0x0112) continue
    const value = read(bytes, entry + 8, 2)
    return value >= 1 && value <= 8 ? value : 1
  }
  return 1
}

function hasText(bytes: Uint8Array, at: number, text: string): boolean {
  return Array.from(text).every((letter, index) => bytes[at + index] === letter.charCodeAt(0))
}

function bigEndian(bytes: Uint8Array, at: number, length: number): number {
  let value = 0
  for (let index = 0; index < length; index += 1) {
    value = value * 256 + (bytes[at + index] ?? Number.NaN)
  }
  return value
}

function littleEndian(bytes: Uint8Array, at: number, length: number): number {
  let value = 0
  for (let index = length - 1; index >= 0; index -= 1) {
    value = value * 256 + (bytes[at + index] ?? Number.NaN)
  }
  return value
}
