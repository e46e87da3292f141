import { assert, constantFrom, integer, property, record } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cropPicture } from '../../../../src/inference/images/masked-region.ts'
import {
  type ResizeFilter,
  resizePicture,
  resizeRaster,
} from '../../../../src/inference/images/resize.ts'
import golden from '../fixtures/resize.json' with { type: 'json' }
import { knownRaster, pictures, solidPicture } from './builders.ts'

const filters: readonly ResizeFilter[] = ['Nearest', 'Bilinear', 'Bicubic', 'Lanczos']

const targets = record({
  width: integer({ min: 1, max: 50 }),
  height: integer({ min: 1, max: 50 }),
  filter: constantFrom(...filters),
})

describe('resizeRaster', () => {
  test.each(golden.resized)('equals Pillow, byte for byte: $filter $from to $to', (expected) => {
    const [from, to] = [expected.from, expected.to]
    const filter = filters.find((name) => name === expected.filter)!
    const result = resizeRaster(knownRaster(from[0], from[1], 3), {
      width: to[0],
      height: to[1],
      filter,
    })
    expect(Buffer.from(result.samples).equals(Buffer.from(expected.bytes, 'base64'))).toBe(true)
  })

  test('treats channels alone: a grey raster equals each channel of the same in colour', () => {
    const grey = knownRaster(19, 13, 1)
    const colour = { ...grey, channels: 3, samples: grey.samples.slice(0, 0) }
    const samples = Uint8Array.from({ length: 19 * 13 * 3 }, (_, at) => grey.samples[(at / 3) | 0])
    const target = { width: 7, height: 29, filter: 'Lanczos' } as const
    const narrow = resizeRaster(grey, target).samples
    const wide = resizeRaster({ ...colour, samples }, target).samples
    expect(narrow).toEqual(wide.filter((_, at) => at % 3 === 2))
  })

  test('with a window makes the same bytes as cutting the window out of the whole', () => {
    assert(
      property(pictures, targets, (picture, { width, height, filter }) => {
        const window = {
          left: Math.floor(width / 3),
          top: Math.floor(height / 4),
          width: Math.ceil(width / 2),
          height: Math.ceil(height / 2),
        }
        const whole = resizePicture(picture, { width, height, filter })
        const part = resizePicture(picture, { width, height, filter, window })
        expect(part).toEqual(cropPicture(whole, window))
      }),
      { numRuns: 100 },
    )
  })

  test('keeps a picture of the same size, and one colour at any size', () => {
    assert(
      property(pictures, targets, (picture, { width, height, filter }) => {
        expect(resizePicture(picture, { ...picture, filter })).toEqual(picture)
        const colour = picture.pixels.subarray(0, 3)
        const solid = solidPicture(picture.width, picture.height, [...colour])
        const expected = solidPicture(width, height, [...colour])
        expect(resizePicture(solid, { width, height, filter })).toEqual(expected)
      }),
      { numRuns: 100 },
    )
  })

  test('needs no memory for what lies outside of the window', () => {
    const line = knownRaster(8192, 1, 3)
    const window = { left: 4_000_000, top: 10, width: 64, height: 64 }
    const result = resizeRaster(line, { width: 8_388_608, height: 1024, filter: 'Lanczos', window })
    expect(result.samples.length).toBe(64 * 64 * 3)
  })
})
