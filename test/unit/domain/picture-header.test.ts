import * as fc from 'fast-check'
import sharp from 'sharp'
import { beforeAll, describe, expect, it } from 'vitest'
import { assert } from '../../../src/shared/assert.ts'
import {
  pictureLimits,
  readPictureHeader,
  sniffPicture,
} from '../../../src/shared/domain/picture-header.ts'

const picture = () => sharp({ create: { width: 48, height: 20, channels: 3, background: 'red' } })
const size = { width: 48, height: 20 }
const turned = { width: 20, height: 48 }

const files: Record<string, Buffer> = {}
beforeAll(async () => {
  files['png'] = await picture().png().toBuffer()
  files['png 16 bit'] = await picture().toColourspace('rgb16').png().toBuffer()
  files['png turned'] = await picture().withMetadata({ orientation: 6 }).png().toBuffer()
  files['jpeg'] = await picture().jpeg().toBuffer()
  files['jpeg progressive'] = await picture().jpeg({ progressive: true }).toBuffer()
  files['jpeg CMYK'] = await picture().toColourspace('cmyk').jpeg().toBuffer()
  files['jpeg turned'] = await picture().withMetadata({ orientation: 5 }).jpeg().toBuffer()
  files['jpeg upright'] = await picture().withMetadata({ orientation: 3 }).jpeg().toBuffer()
  files['webp lossy'] = await picture().webp().toBuffer()
  files['webp lossless'] = await picture().webp({ lossless: true }).toBuffer()
  files['webp alpha'] = await picture().ensureAlpha(0.5).webp().toBuffer()
  files['webp turned'] = await picture().withMetadata({ orientation: 8 }).webp().toBuffer()
})

function file(name: string): Buffer {
  const found = files[name]
  assert(found !== undefined, `there is a file ${name}`)
  return found
}

describe('the header of a picture', () => {
  it.each([
    ['png', 'image/png', size],
    ['png 16 bit', 'image/png', size],
    ['png turned', 'image/png', turned],
    ['jpeg', 'image/jpeg', size],
    ['jpeg progressive', 'image/jpeg', size],
    ['jpeg CMYK', 'image/jpeg', size],
    ['jpeg turned', 'image/jpeg', turned],
    ['jpeg upright', 'image/jpeg', size],
    ['webp lossy', 'image/webp', size],
    ['webp lossless', 'image/webp', size],
    ['webp alpha', 'image/webp', size],
    // Its orientation stands behind the pixels, so what it shows is not known yet.
    ['webp turned', 'image/webp', null],
  ])('of a %s says type and shown size', (name, contentType, shown) => {
    expect(readPictureHeader(file(name))).toEqual({ contentType, size: shown })
    expect(sniffPicture(file(name).subarray(0, 12))).toBe(contentType)
  })

  it('is a sentence wherever the file is cut before its size', () => {
    for (const [name, bytes] of Object.entries(files)) {
      const whole = readPictureHeader(bytes)
      for (let length = 0; length < Math.min(bytes.length, 700); length += 1) {
        const cut = readPictureHeader(bytes.subarray(0, length))
        const isRight = typeof cut === 'string' || sameType(cut, whole)
        expect([name, length, isRight]).toEqual([name, length, true])
      }
    }
  })

  it('is a sentence for what is no picture of ours', () => {
    const others = ['', 'GIF89a/*', '<svg xmlns="x"/>', '%PDF-1.7', 'RIFF\0\0\0\0WAVEfmt ', 'BM']
    for (const text of others) {
      expect(readPictureHeader(Buffer.from(text, 'latin1'))).toMatch(/neither a PNG/)
    }
  })

  it('names the size of a picture that is too large to be read', () => {
    const { sideMax } = pictureLimits
    expect(readPictureHeader(pngOf(30_000, 30_000))).toMatch(/30000x30000 pixels; at most/)
    expect(readPictureHeader(pngOf(sideMax + 1, 1))).toMatch(/8193x1/)
    expect(readPictureHeader(pngOf(sideMax, 1))).toMatchObject({ size: { width: sideMax } })
    expect(readPictureHeader(pngOf(8192, 4882))).toMatchObject({ size: { height: 4882 } })
    expect(readPictureHeader(pngOf(8192, 4883))).toMatch(/at most 40000000/)
    expect(readPictureHeader(pngOf(0, 8))).toMatch(/has no size/)
  })

  it('never fails, whatever the bytes behind a magic are', () => {
    const magics = Object.values(files).map((bytes) => bytes.subarray(0, 30))
    const bytes = fc.uint8Array({ maxLength: 400 })
    fc.assert(
      fc.property(fc.nat(), fc.nat(30), bytes, (index, kept, rest) => {
        const magic = magics[index % magics.length]?.subarray(0, kept) ?? Buffer.alloc(0)
        const header = readPictureHeader(Buffer.concat([magic, rest]))
        if (typeof header === 'string' || header.size === null) return
        const { width, height } = header.size
        expect(width * height).toBeLessThanOrEqual(pictureLimits.pixelsMax)
        expect(Math.min(width, height)).toBeGreaterThan(0)
      }),
      { numRuns: 5000 },
    )
  })
})

function sameType(cut: object, whole: unknown): boolean {
  return (
    typeof whole === 'object' &&
    JSON.stringify(cut).slice(0, 25) === JSON.stringify(whole).slice(0, 25)
  )
}

function pngOf(width: number, height: number): Buffer {
  const bytes = Buffer.from(file('png'))
  bytes.writeUInt32BE(width, 16)
  bytes.writeUInt32BE(height, 20)
  return bytes
}
