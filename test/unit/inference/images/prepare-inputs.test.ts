import { describe, expect, test } from 'vitest'
import type { Mask } from '../../../../src/inference/images/mask.ts'
import type { Picture } from '../../../../src/inference/images/picture.ts'
import {
  finishPicture,
  type InputSettings,
  prepareInputs,
} from '../../../../src/inference/images/prepare-inputs.ts'
import {
  boxMask,
  distance,
  knownPicture,
  refusal,
  smoothPicture,
  solidPicture,
} from './builders.ts'

const inpaint = { task: 'Inpaint', width: 64, height: 48 } as const

function read(picture: Picture, mask?: Mask) {
  const image = { field: 'inputs[0]', picture, changes: ['inputs[0]: 16-bit values reduced to 8'] }
  return mask === undefined
    ? { image }
    : { image, mask: { field: 'inputs[1]', mask, changes: ['inputs[1]: mask taken from alpha'] } }
}

function countChanged(one: Picture, other: Picture, where: (pixel: number) => boolean): number {
  return one.pixels.filter((value, at) => where(Math.floor(at / 3)) && value !== other.pixels[at])
    .length
}

describe('prepareInputs for ImageToImage', () => {
  const settings = { task: 'ImageToImage', width: 64, height: 48 } as const

  test('hands a picture of the right size on, byte for byte', () => {
    const picture = knownPicture(64, 48)
    const prepared = prepareInputs(read(picture), settings)
    expect(prepared).toEqual({ image: picture, changes: read(picture).image.changes })
    const painted = smoothPicture(64, 48)
    expect(finishPicture(prepared, painted)).toBe(painted)
  })

  test('fits another size by resizeMode and says so', () => {
    const inputs = read(knownPicture(100, 100))
    const { image, changes } = prepareInputs(inputs, { ...settings, resizeMode: 'Fill' })
    expect(image).toMatchObject({ width: 64, height: 48 })
    expect(changes).toEqual([
      'inputs[0]: 16-bit values reduced to 8',
      'inputs[0]: resized from 100x100 to 64x64 (Lanczos), cropped to 64x48',
    ])
  })

  test('refuses another size without resizeMode, and a mask', async () => {
    const other = knownPicture(48, 64)
    const size = await refusal('inputs[0]', () => prepareInputs(read(other), settings))
    expect(size).toContain('is 48x64 and must be 64x48')
    const masked = read(knownPicture(64, 48), boxMask({ width: 64, height: 48 }, [1, 1, 9, 9]))
    const role = await refusal('inputs[1]', () => prepareInputs(masked, settings))
    expect(role).toContain('ImageToImage takes none')
  })
})

describe('prepareInputs for Inpaint refuses', () => {
  const picture = knownPicture(64, 48)
  const white = boxMask({ width: 64, height: 48 }, [0, 0, 64, 48])

  test.each<[string, Mask, Partial<InputSettings>, string]>([
    ['a black mask', boxMask({ width: 64, height: 48 }, [0, 0, 0, 0]), {}, 'nothing to repaint'],
    [
      'a mask below half white',
      boxMask({ width: 64, height: 48 }, [0, 0, 9, 9], 127),
      {},
      'nothing to repaint',
    ],
    [
      'a black mask for its region',
      boxMask({ width: 64, height: 48 }, [0, 0, 0, 0]),
      { inpaintArea: 'MaskedOnly' },
      'nothing to repaint',
    ],
    [
      'a mask that its blur takes',
      boxMask({ width: 64, height: 48 }, [9, 9, 10, 10]),
      { maskBlur: 8 },
      'nothing',
    ],
    [
      'a mask that the crop takes',
      boxMask({ width: 64, height: 96 }, [0, 0, 64, 8]),
      { resizeMode: 'Fill' },
      'nothing to repaint',
    ],
    [
      'a mask of another size',
      boxMask({ width: 32, height: 48 }, [0, 0, 9, 9]),
      {},
      'is 32x48 and must be 64x48',
    ],
    [
      'a mask of another size for its region',
      boxMask({ width: 64, height: 64 }, [0, 0, 9, 9]),
      { inpaintArea: 'MaskedOnly' },
      'is 64x64 and must be 64x48',
    ],
  ])('%s', async (...[, mask, settings, message]) => {
    const text = await refusal('inputs[1]', () =>
      prepareInputs(read(picture, mask), { ...inpaint, ...settings }),
    )
    expect(text).toContain(message)
  })

  test('a missing mask, and a picture of another size', async () => {
    const missing = await refusal('inputs', () => prepareInputs(read(picture), inpaint))
    expect(missing).toContain('needs an input with the role Mask')
    const text = await refusal('inputs[0]', () =>
      prepareInputs(read(knownPicture(64, 64), white), inpaint),
    )
    expect(text).toContain('is 64x64 and must be 64x48')
  })
})

describe('prepareInputs for Inpaint of the whole picture', () => {
  const picture = smoothPicture(64, 48)
  const hole = boxMask({ width: 64, height: 48 }, [20, 10, 40, 30])
  const painted = solidPicture(64, 48, [1, 2, 3])

  test('hands picture and mask on as they are, and the painted picture back', () => {
    const prepared = prepareInputs(read(picture, hole), inpaint)
    expect(prepared).toMatchObject({ image: picture, mask: hole })
    expect(finishPicture(prepared, painted)).toBe(painted)
  })

  test('fits a mask of another size than its picture by the same mode', () => {
    const mask = boxMask({ width: 128, height: 96 }, [40, 20, 80, 60])
    const prepared = prepareInputs(read(smoothPicture(32, 24), mask), {
      ...inpaint,
      resizeMode: 'Fit',
    })
    expect(prepared.image).toMatchObject({ width: 64, height: 48 })
    expect(prepared.mask?.values[20 * 64 + 30]).toBe(255)
    expect(prepared.mask?.values[20 * 64 + 10]).toBe(0)
    expect(prepared.changes).toEqual([
      'inputs[0]: 16-bit values reduced to 8',
      'inputs[0]: resized from 32x24 to 64x48 (Lanczos)',
      'inputs[1]: mask taken from alpha',
      'inputs[1]: resized from 128x96 to 64x48 (Bilinear)',
    ])
  })

  test.each([0, 4])('keeps unmasked bytes on request, with a blur of %i', (maskBlur) => {
    const settings = { ...inpaint, maskBlur, keepUnmaskedPixels: true }
    const result = finishPicture(prepareInputs(read(picture, hole), settings), painted)
    const isBlack = (pixel: number) => hole.values[pixel] === 0
    expect(countChanged(result, picture, isBlack)).toBe(0)
    const paint = countChanged(result, painted, (pixel) => !isBlack(pixel))
    expect(paint > 0).toBe(maskBlur > 0)
    expect(countChanged(result, picture, (pixel) => !isBlack(pixel))).toBe(20 * 20 * 3)
  })
})

describe('prepareInputs for Inpaint of the masked region', () => {
  const picture = smoothPicture(200, 150)
  const hole = boxMask({ width: 200, height: 150 }, [90, 60, 110, 90])
  const settings = { ...inpaint, inpaintArea: 'MaskedOnly', maskPadding: 5 } as const

  test('paints the padded region at the job’s size, without a resizeMode', () => {
    const { image, mask, changes, paste } = prepareInputs(read(picture, hole), settings)
    expect([image, mask]).toMatchObject([
      { width: 64, height: 48 },
      { width: 64, height: 48 },
    ])
    expect(paste?.region).toEqual({ left: 74, top: 55, width: 53, height: 40 })
    expect(mask?.values[24 * 64 + 32]).toBe(255)
    expect(mask?.values[0]).toBe(0)
    expect(changes.at(-1)).toBe(
      'inputs[0]: only the region of 53x40 at 74,55 is repainted, painted at 64x48',
    )
  })

  test.each([
    [{}, true],
    [{ maskBlur: 4 }, false],
    [{ maskBlur: 4, keepUnmaskedPixels: true }, true],
  ])('returns the input’s size and its bytes around: %o', (more, isStrict) => {
    const prepared = prepareInputs(read(picture, hole), { ...settings, ...more })
    const result = finishPicture(prepared, solidPicture(64, 48, [1, 2, 3]))
    expect(result).toMatchObject({ width: 200, height: 150 })
    const { left, top, width, height } = prepared.paste!.region
    const isOutside = (pixel: number) => {
      const [x, y] = [(pixel % 200) - left, Math.floor(pixel / 200) - top]
      return x < 0 || y < 0 || x >= width || y >= height
    }
    expect(countChanged(result, picture, isOutside)).toBe(0)
    const spill = countChanged(result, picture, (pixel) => hole.values[pixel] === 0)
    expect(spill === 0).toBe(isStrict)
    expect(countChanged(result, picture, (pixel) => hole.values[pixel] > 0)).toBe(20 * 30 * 3)
  })

  test('is undone when nothing is painted, up to resampling', () => {
    const prepared = prepareInputs(read(picture, hole), settings)
    const result = finishPicture(prepared, prepared.image)
    expect(distance(result.pixels, picture.pixels)).toBeLessThanOrEqual(4)
  })

  test('keeps the proportion of a region that the picture has no room for', () => {
    const wide = boxMask({ width: 200, height: 30 }, [2, 2, 198, 28])
    const prepared = prepareInputs(read(smoothPicture(200, 30), wide), settings)
    const result = finishPicture(prepared, prepared.image)
    expect(prepared.paste?.region).toMatchObject({ width: 200, height: 30 })
    expect(distance(result.pixels, smoothPicture(200, 30).pixels)).toBeLessThanOrEqual(24)
  })

  test('takes defaults: 32 pixels around, no blur', () => {
    const { paste } = prepareInputs(read(picture, hole), { ...inpaint, inpaintArea: 'MaskedOnly' })
    expect(paste?.region).toMatchObject({ top: 28, height: 94 })
    expect(paste?.mask).toEqual(hole)
  })
})
