import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { gaussianBlur } from '../../../../src/inference/images/gaussian-blur.ts'
import { blurMask, fitMask, isEmptyMask, readMask } from '../../../../src/inference/images/mask.ts'
import { encodePng } from '../../../../src/inference/output/png.ts'
import golden from '../fixtures/resize.json' with { type: 'json' }
import { boxMask, buildPng, knownRaster, refusal } from './builders.ts'

const field = 'inputs[1]'

/** A 2×2 PNG of four RGBA pixels. */
function rgba(...pixels: readonly (readonly number[])[]): Buffer {
  const rows = [pixels.slice(0, 2).flat(), pixels.slice(2).flat()]
  return buildPng({ width: 2, height: 2, colour: 6, rows })
}

describe('readMask', () => {
  test.each([
    {
      what: 'black and white: the grey value',
      bytes: encodePng({ width: 2, height: 1, pixels: Uint8Array.of(0, 0, 0, 255, 255, 255) }),
      values: [0, 255],
    },
    {
      what: 'colours: Pillow’s luminance',
      bytes: encodePng({
        width: 3,
        height: 1,
        pixels: Uint8Array.of(255, 0, 0, 0, 255, 0, 0, 0, 255),
      }),
      values: [76, 150, 29],
    },
    {
      what: 'grey with one bit',
      bytes: buildPng({ width: 4, height: 1, colour: 0, bits: 1, rows: [[0b0101_0000]] }),
      values: [0, 255, 0, 255],
    },
    {
      what: 'opaque alpha: the grey value',
      bytes: rgba([0, 0, 0, 255], [255, 255, 255, 255], [100, 100, 100, 255], [0, 0, 0, 255]),
      values: [0, 255, 100, 0],
    },
    {
      what: 'alpha that is the same everywhere: the grey value',
      bytes: rgba([0, 0, 0, 0], [255, 255, 255, 0], [100, 100, 100, 0], [0, 0, 0, 0]),
      values: [0, 255, 100, 0],
    },
    {
      what: 'black paint on a transparent layer: alpha',
      bytes: rgba([0, 0, 0, 0], [0, 0, 0, 255], [0, 0, 0, 100], [0, 0, 0, 1]),
      values: [0, 255, 100, 1],
      change: 'mask taken from alpha',
    },
    {
      what: 'white everywhere, alpha differs: alpha',
      bytes: rgba([255, 255, 255, 0], [255, 255, 255, 255], [255, 255, 255, 7], [255, 255, 255, 0]),
      values: [0, 255, 7, 0],
      change: 'mask taken from alpha',
    },
    {
      what: 'white paint with soft edges on transparent black: as seen on black',
      bytes: rgba([0, 0, 0, 0], [255, 255, 255, 255], [255, 255, 255, 64], [0, 0, 0, 255]),
      values: [0, 255, 64, 0],
      change: 'mask taken from the colours as seen on black',
    },
  ])('$what', async ({ bytes, values, change }) => {
    const { mask, changes } = await readMask(bytes, field)
    expect([...mask.values]).toEqual(values)
    expect(changes).toEqual(change === undefined ? [] : [`inputs[1]: ${change}`])
  })

  test('takes a 16-bit mask and says so', async () => {
    const bytes = buildPng({ width: 2, height: 1, colour: 0, bits: 16, rows: [[1, 1, 128, 127]] })
    const { mask, changes } = await readMask(bytes, field)
    expect([...mask.values]).toEqual([1, 128])
    expect(changes).toEqual(['inputs[1]: 16-bit values reduced to 8'])
  })

  test('refuses a GIF and names the mask', async () => {
    const gif = await sharp(Buffer.alloc(12), { raw: { width: 2, height: 2, channels: 3 } })
      .gif()
      .toBuffer()
    expect(await refusal(field, () => readMask(gif, field))).toContain('inputs[1] is a GIF file')
  })
})

describe('fitMask', () => {
  test('moves with its picture: a white half stays the same half', () => {
    const { mask } = fitMask(boxMask({ width: 8, height: 4 }, [4, 0, 8, 4]), {
      width: 4,
      height: 4,
      mode: 'Fit',
      field,
    })
    expect([...mask.values.subarray(0, 4)]).toEqual([0, 32, 223, 255])
  })

  test('has no echoes: black stays 0 away from the edge', () => {
    const target = { width: 32, height: 32, mode: 'Stretch', field } as const
    const { mask } = fitMask(boxMask({ width: 100, height: 100 }, [50, 0, 100, 100]), target)
    const row = mask.values.subarray(0, 32)
    expect(row.subarray(0, 14).every((value) => value === 0)).toBe(true)
    expect(row.subarray(18).every((value) => value === 255)).toBe(true)
  })

  test('refuses another size without a mode and names both', async () => {
    const mask = boxMask({ width: 8, height: 8 }, [0, 0, 4, 4])
    const message = await refusal(field, () =>
      fitMask(mask, { width: 16, height: 12, mode: undefined, field }),
    )
    expect(message).toContain('inputs[1] is 8x8 and must be 16x12')
  })
})

describe('blurMask', () => {
  test.each(golden.blurred)('equals Pillow, byte for byte: $from by $radius', (expected) => {
    const { samples, width, height } = knownRaster(expected.from[0], expected.from[1], 1)
    const values = gaussianBlur({ width, height, values: samples }, expected.radius)
    expect(Buffer.from(values).equals(Buffer.from(expected.bytes, 'base64'))).toBe(true)
  })

  test('leaves a mask alone at radius 0 and never changes its argument', () => {
    const mask = boxMask({ width: 9, height: 9 }, [3, 3, 6, 6])
    const before = Uint8Array.from(mask.values)
    expect(blurMask(mask, 0)).toEqual(mask)
    expect(blurMask(mask, 2).values).not.toEqual(before)
    expect(mask.values).toEqual(before)
  })

  test.each([0, 255])('keeps a mask of %i everywhere', (value) => {
    const mask = boxMask({ width: 7, height: 5 }, [0, 0, 7, 5], value)
    expect(blurMask(mask, 64)).toEqual(mask)
  })
})

describe('isEmptyMask', () => {
  test.each([
    [0, true],
    [127, true],
    [128, false],
    [255, false],
  ])('a mask of %i repaints nothing: %s', (value, expected) => {
    expect(isEmptyMask(boxMask({ width: 4, height: 4 }, [1, 1, 2, 2], value))).toBe(expected)
  })
})
