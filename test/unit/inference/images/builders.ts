import { crc32, deflateSync } from 'node:zlib'
import { array, constant, integer, record, tuple, uint8Array } from 'fast-check'
import type { Mask } from '../../../../src/inference/images/mask.ts'
import type { Picture, Raster, Size } from '../../../../src/inference/images/picture.ts'
import { assert } from '../../../../src/shared/assert.ts'
import { isAppError } from '../../../../src/shared/errors.ts'

/** Sample i is the high byte of (i + 1) · 2654435761 mod 2^32, as in tools/goldens/resize.py. */
export function knownRaster(width: number, height: number, channels: number): Raster {
  const samples = Uint8Array.from(
    { length: width * height * channels },
    (_, at) => Math.imul(at + 1, 2_654_435_761) >>> 24,
  )
  return { width, height, channels, samples }
}

export function knownPicture(width: number, height: number): Picture {
  return { width, height, pixels: knownRaster(width, height, 3).samples }
}

/** Slow waves: survives being resized and resized back. */
export function smoothPicture(width: number, height: number): Picture {
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, at) => {
    const [x, y] = [Math.floor(at / 3) % width, Math.floor(at / 3 / width)]
    return 128 + 100 * Math.sin(x / 20 + (at % 3)) * Math.cos(y / 25)
  })
  return { width, height, pixels }
}

export function solidPicture(width: number, height: number, colour: readonly number[]): Picture {
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, at) => colour[at % 3])
  return { width, height, pixels }
}

type Box = readonly [left: number, top: number, right: number, bottom: number]

/** `value` inside of the box (right and bottom not included), 0 elsewhere. */
export function boxMask({ width, height }: Size, [l, t, r, b]: Box, value = 255): Mask {
  const values = new Uint8Array(width * height)
  for (let y = t; y < b; y++) values.fill(value, y * width + l, y * width + r)
  return { width, height, values }
}

/** The largest difference of two pictures' values. */
export function distance(one: Uint8Array, other: Uint8Array): number {
  assert(one.length === other.length, 'pictures of one size')
  return one.reduce((most, value, at) => Math.max(most, Math.abs(value - other[at])), 0)
}

export const pictures = tuple(integer({ min: 1, max: 24 }), integer({ min: 1, max: 24 })).chain(
  ([width, height]) => {
    const size = width * height * 3
    const pixels = uint8Array({ minLength: size, maxLength: size })
    return record({ width: constant(width), height: constant(height), pixels })
  },
)

export const edits = array(
  tuple(integer({ min: 0, max: 100_000 }), integer({ min: 0, max: 255 })),
  {
    minLength: 1,
    maxLength: 8,
  },
)

export function pngChunk(type: string, body: Uint8Array = new Uint8Array()): Buffer {
  const framed = Buffer.alloc(body.length + 12)
  framed.writeUInt32BE(body.length, 0)
  framed.write(type, 4, 'latin1')
  framed.set(body, 8)
  framed.writeUInt32BE(crc32(framed.subarray(4, body.length + 8)), body.length + 8)
  return framed
}

export type PngParts = {
  readonly width: number
  readonly height: number
  /** 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha. */
  readonly colour?: number
  readonly bits?: number
  /** Without the filter byte that begins each row. */
  readonly rows: readonly (readonly number[])[]
  /** Before the pixels. */
  readonly chunks?: readonly Uint8Array[]
}

/** A PNG from its parts, also one that a decent encoder would not write. */
export function buildPng({ width, height, colour = 2, bits = 8, rows, chunks = [] }: PngParts) {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([bits, colour, 0, 0, 0], 8)
  const body = deflateSync(Uint8Array.from(rows.flatMap((row) => [0, ...row])))
  return Buffer.concat([
    Uint8Array.of(137, 80, 78, 71, 13, 10, 26, 10),
    pngChunk('IHDR', header),
    ...chunks,
    pngChunk('IDAT', body),
    pngChunk('IEND'),
  ])
}

/** The message of a refusal that names `field`; anything else fails the test. */
export async function refusal(field: string, action: () => unknown): Promise<string> {
  try {
    await action()
  } catch (error) {
    if (!isAppError(error, 'request.invalid') || error.fields[0]?.path !== field) throw error
    return error.message
  }
  throw new Error('nothing was refused')
}
