import sharp, { type Sharp } from 'sharp'
import { deflateSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { openDecoder } from '../../../../src/inference/images/decoder.ts'
import { encodeJpeg } from '../../../../src/inference/images/encode-jpeg.ts'
import { pictureLimits } from '../../../../src/shared/domain/picture-header.ts'
import { readPicture } from '../../../../src/inference/images/read-picture.ts'
import { encodePng } from '../../../../src/inference/output/png.ts'
import {
  buildPng,
  distance,
  knownPicture,
  knownRaster,
  pngChunk,
  refusal,
  smoothPicture,
  solidPicture,
} from './builders.ts'

const field = 'inputs[0]'
const png = encodePng(knownPicture(20, 14))
const row = [10, 20, 30]

function open({ width, height, pixels } = knownPicture(20, 14)): Sharp {
  return sharp(pixels, { raw: { width, height, channels: 3 } })
}

function hugeJpeg(jpeg: Buffer): Buffer {
  const frame = jpeg.indexOf(Buffer.of(0xff, 0xc0))
  const changed = Buffer.from(jpeg)
  changed.writeUInt16BE(30_000, frame + 5)
  changed.writeUInt16BE(30_000, frame + 7)
  return changed
}

/** Lossless WebP: 14 bits of width − 1, then 14 of height − 1. */
function hugeWebp(webp: Buffer): Buffer {
  const changed = Buffer.from(webp)
  changed.writeUInt32LE(0x0fff_bffe, webp.indexOf('VP8L') + 9)
  return changed
}

describe('readPicture refuses', () => {
  test.each([
    ['0 bytes', Buffer.alloc(0), 'is an empty file'],
    ['text', Buffer.from('hello'), 'is a file of another kind'],
    ['SVG', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 'is an SVG file'],
    ['SVG in XML', Buffer.from('\uFEFF<?xml version="1.0"?>\n<svg/>'), 'is an SVG file'],
    ['HTML', Buffer.from('<!doctype html><script>1</script>'), 'is an HTML or XML file'],
    ['PDF', Buffer.from('%PDF-1.7'), 'is a PDF file'],
    ['AVIF', Buffer.from('\0\0\0\x1cftypavif'), 'is an AVIF or HEIC file'],
    ['BMP', Buffer.from('BM123456'), 'is a BMP file'],
    ['a sound in RIFF', Buffer.from('RIFF\x04\0\0\0WAVE'), 'is a file of another kind'],
    ['a GIF that is a script', Buffer.from('GIF89a=1;alert(1)//'), 'is a GIF file'],
    ['a PNG that is cut off', png.subarray(0, png.length - 30), 'is a PNG file that is cut off'],
    ['a PNG of its first bytes', png.subarray(0, 12), 'is a PNG file that is cut off'],
    ['a PNG without an end', png.subarray(0, png.length - 12), 'is a PNG file that is cut off'],
    [
      'a PNG with too little in it',
      buildPng({ width: 1, height: 9, rows: [row] }),
      'is a PNG file that is damaged',
    ],
    [
      'a PNG with no pixels',
      Buffer.concat([png.subarray(0, 33), pngChunk('IEND')]),
      'is a PNG file that is damaged',
    ],
    [
      'a PNG of 30,000 by 30,000',
      buildPng({ width: 30_000, height: 30_000, rows: [row] }),
      'is 30000x30000; at most 8192 pixels a side and 40000000 in all are read',
    ],
    [
      'a PNG of 2^31 by 1',
      buildPng({ width: 2_147_483_647, height: 1, rows: [row] }),
      'is a PNG file that is damaged',
    ],
    ['a side of 8193', buildPng({ width: 1, height: 8193, rows: [row] }), 'is 1x8193; at most'],
    [
      'over 40 megapixels',
      buildPng({ width: 8192, height: 4883, rows: [row] }),
      'is 8192x4883; at most',
    ],
    [
      'an animated PNG',
      buildPng({ width: 1, height: 1, rows: [row], chunks: [pngChunk('acTL', Buffer.alloc(8))] }),
      'is an animated PNG',
    ],
    [
      'over 32 MiB',
      Buffer.concat([png], pictureLimits.fileBytesMax + 1),
      'has 33554433 bytes; at most 33554432 are read',
    ],
  ])('%s', async (_, bytes, message) => {
    expect(await refusal(field, () => readPicture(bytes, field))).toContain(`${field} ${message}`)
  })

  test.each([
    ['GIF', () => open().gif(), 'is a GIF file'],
    ['TIFF', () => open().tiff(), 'is a TIFF file'],
  ] as const)('a real %s', async (_, encode, message) => {
    const bytes = await encode().toBuffer()
    expect(await refusal(field, () => readPicture(bytes, field))).toContain(message)
  })

  test.each(['jpeg', 'webp'] as const)('a %s that is cut off', async (format) => {
    const bytes = await open(smoothPicture(200, 200)).toFormat(format).toBuffer()
    for (const share of [0.1, 0.5, 0.99]) {
      const cut = bytes.subarray(0, Math.floor(bytes.length * share))
      expect(await refusal(field, () => readPicture(cut, field))).toContain('damaged or cut off')
    }
  })

  test('a JPEG and a WebP that say they are huge', async () => {
    const jpeg = hugeJpeg(await open().jpeg().toBuffer())
    const webp = hugeWebp(await open().webp({ lossless: true }).toBuffer())
    expect(await refusal(field, () => readPicture(jpeg, field))).toContain('is 30000x30000')
    expect(await refusal(field, () => readPicture(webp, field))).toContain('is 16383x16383')
  })

  test('an animated WebP', async () => {
    const frames = sharp(knownPicture(8, 16).pixels, {
      raw: { width: 8, height: 16, channels: 3, pageHeight: 8 },
    })
    const bytes = await frames.webp().toBuffer()
    expect(await refusal(field, () => readPicture(bytes, field))).toContain('is an animated WebP')
  })

  test('a format by its content where the decoder alone is asked too', async () => {
    const gif = await open().gif().toBuffer()
    await expect(openDecoder()(gif).metadata()).rejects.toThrow('unsupported image format')
  })
})

describe('readPicture reads', () => {
  test('8-bit RGB of a PNG, byte for byte, and says nothing', async () => {
    expect(await readPicture(png, field)).toEqual({
      field,
      picture: knownPicture(20, 14),
      alpha: null,
      changes: [],
    })
  })

  test.each([
    ['grey', { colour: 0, rows: [[0, 200]] }, [0, 0, 0, 200, 200, 200]],
    ['one bit', { colour: 0, bits: 1, rows: [[0b0100_0000]] }, [0, 0, 0, 255, 255, 255]],
    [
      'palette',
      { colour: 3, rows: [[1, 0]], chunks: [pngChunk('PLTE', Buffer.of(1, 2, 3, 4, 5, 6))] },
      [4, 5, 6, 1, 2, 3],
    ],
  ])('a PNG with %s as RGB', async (_, parts, pixels) => {
    const read = await readPicture(buildPng({ width: 2, height: 1, ...parts }), field)
    expect([...read.picture.pixels]).toEqual(pixels)
    expect(read).toMatchObject({ alpha: null, changes: [] })
  })

  test('16 bits as round(v / 257), and says so', async () => {
    const rows = [[0x00, 0x80, 0x00, 0x81, 0x80, 0x7f, 0xff, 0xff, 0x01, 0x81, 0x01, 0x82]]
    const bytes = buildPng({ width: 2, height: 1, bits: 16, rows })
    const { picture, changes } = await readPicture(bytes, field)
    expect([...picture.pixels]).toEqual([0, 1, 128, 255, 1, 2])
    expect(changes).toEqual(['inputs[0]: 16-bit values reduced to 8'])
  })

  test('alpha apart, with the colours below it as they are', async () => {
    const rows = [[250, 100, 7, 0, 1, 2, 3, 128]]
    const read = await readPicture(buildPng({ width: 2, height: 1, colour: 6, rows }), field)
    expect([...read.picture.pixels]).toEqual([250, 100, 7, 1, 2, 3])
    expect([...(read.alpha ?? [])]).toEqual([0, 128])
    expect(read.changes).toEqual(['inputs[0]: alpha set aside, colours kept as they are'])
  })

  test('a transparent palette entry, and an alpha that hides nothing', async () => {
    const chunks = [pngChunk('PLTE', Buffer.of(1, 2, 3, 4, 5, 6)), pngChunk('tRNS', Buffer.of(9))]
    const parts = { width: 2, height: 1, colour: 3, rows: [[0, 1]], chunks }
    expect([...((await readPicture(buildPng(parts), field)).alpha ?? [])]).toEqual([9, 255])
    const opaque = buildPng({ width: 1, height: 1, colour: 6, rows: [[1, 2, 3, 255]] })
    expect(await readPicture(opaque, field)).toMatchObject({ alpha: null, changes: [] })
  })

  test('CMYK by its inks, and says so', async () => {
    const colours = [
      [200, 70, 60],
      [80, 150, 90],
      [60, 80, 140],
      [128, 128, 128],
    ]
    for (const colour of colours) {
      const expected = solidPicture(16, 16, colour)
      const jpeg = await open(expected).toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer()
      const { picture, changes } = await readPicture(jpeg, field)
      expect(distance(picture.pixels, expected.pixels)).toBeLessThan(25)
      expect(changes).toEqual(['inputs[0]: CMYK converted to sRGB by a common profile'])
    }
  })

  test.each([
    [2, 'mirrored', [2, 1, 0, 5, 4, 3]],
    [3, 'rotated', [5, 4, 3, 2, 1, 0]],
    [4, 'mirrored', [3, 4, 5, 0, 1, 2]],
    [5, 'mirrored and rotated', [0, 3, 1, 4, 2, 5]],
    [6, 'rotated', [3, 0, 4, 1, 5, 2]],
    [7, 'mirrored and rotated', [5, 2, 4, 1, 3, 0]],
    [8, 'rotated', [2, 5, 1, 4, 0, 3]],
  ])('EXIF orientation %i: %s', async (orientation, word, order) => {
    const cells = [0, 1, 2, 3, 4, 5].map((cell) => 20 + cell * 40)
    const bytes = await open({ width: 3, height: 2, pixels: greys(cells) })
      .withMetadata({ orientation })
      .webp({ lossless: true })
      .toBuffer()
    const { picture, changes } = await readPicture(bytes, field)
    const isTurned = orientation >= 5
    expect(picture).toMatchObject(isTurned ? { width: 2, height: 3 } : { width: 3, height: 2 })
    expect([...picture.pixels]).toEqual([...greys(order.map((cell) => cells[cell]))])
    expect(changes[0]).toBe(`inputs[0]: ${word} as its EXIF orientation ${orientation} says`)
  })

  test.each(['jpeg', 'png'] as const)('a rotated %s', async (format) => {
    const bytes = await open(smoothPicture(48, 32))
      .withMetadata({ orientation: 6 })
      .toFormat(format, { quality: 95 })
      .toBuffer()
    const { picture, changes } = await readPicture(bytes, field)
    const { data } = await open(smoothPicture(48, 32))
      .rotate(90)
      .raw()
      .toBuffer({ resolveWithObject: true })
    expect(picture).toMatchObject({ width: 32, height: 48 })
    expect(distance(picture.pixels, data)).toBeLessThan(12)
    expect(changes).toContain('inputs[0]: rotated as its EXIF orientation 6 says')
  })

  test.each(['jpeg', 'png', 'webp'] as const)(
    '%s values under a profile as they are',
    async (f) => {
      const source = smoothPicture(32, 32)
      const plain = await open(source).toFormat(f, { lossless: true }).toBuffer()
      const tagged = await sharp(await open(source).png().toBuffer())
        .withIccProfile('p3')
        .toFormat(f, { lossless: true, quality: 100 })
        .toBuffer()
      const own = await sharp(tagged, { ignoreIcc: true }).raw().toBuffer()
      const read = await readPicture(tagged, field)
      expect(distance(read.picture.pixels, own)).toBe(0)
      expect(distance(read.picture.pixels, source.pixels)).toBeGreaterThan(5)
      expect(read.changes.join()).toContain('the embedded colour profile is not applied')
      expect((await readPicture(plain, field)).changes).toEqual([])
    },
  )

  test.each(['jpeg', 'webp', 'png'] as const)('a %s with other bytes behind it', async (format) => {
    const bytes = await open().toFormat(format).toBuffer()
    const script = Buffer.concat([bytes, Buffer.from('/*<script>alert(1)</script>*/')])
    expect(await readPicture(script, field)).toEqual(await readPicture(bytes, field))
  })

  test('a JPEG of our own, nearly as it was', async () => {
    const source = smoothPicture(40, 24)
    const { picture } = await readPicture(await encodeJpeg(source, { quality: 95 }), field)
    expect(picture).toMatchObject({ width: 40, height: 24 })
    expect(distance(picture.pixels, source.pixels)).toBeLessThan(12)
  })

  test('the largest picture that is allowed on a side', async () => {
    const { samples } = knownRaster(8192, 2, 3)
    const bytes = encodePng({ width: 8192, height: 2, pixels: samples })
    expect((await readPicture(bytes, field)).picture.pixels).toEqual(samples)
  })
})

describe('memory stays small', () => {
  const [mebi, comment] = [1024 * 1024, Buffer.from('k\0\0')]
  const text = pngChunk('zTXt', Buffer.concat([comment, deflateSync(Buffer.alloc(7_900_000))]))
  const pixels = pngChunk('IDAT', deflateSync(Buffer.alloc(100_000_000)))
  const rows = [row]

  test.each([
    ['a huge header', () => buildPng({ width: 30_000, height: 30_000, rows })],
    [
      '100 MB, deflated, in a picture of one pixel',
      () => buildPng({ width: 1, height: 1, rows, chunks: [pixels] }),
    ],
    [
      '200 texts of 8 MB, deflated',
      () =>
        buildPng({ width: 1, height: 1, rows, chunks: Array.from({ length: 200 }, () => text) }),
    ],
  ])('at %s', async (_, build) => {
    const bytes = build()
    await readPicture(png, field)
    const before = process.memoryUsage.rss()
    for (let time = 0; time < 3; time++) await readPicture(bytes, field).catch(() => undefined)
    expect((process.memoryUsage.rss() - before) / mebi).toBeLessThan(64)
  })
})

function greys(values: readonly number[]): Uint8Array {
  return Uint8Array.from(values.flatMap((value) => [value, value, value]))
}
