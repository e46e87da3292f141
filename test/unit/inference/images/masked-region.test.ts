import { assert, constantFrom, integer, property, tuple } from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  cropMask,
  cropPicture,
  maskedRegion,
} from '../../../../src/inference/images/masked-region.ts'
import { pastePicture } from '../../../../src/inference/images/paste.ts'
import golden from '../fixtures/resize.json' with { type: 'json' }
import { boxMask, distance, knownPicture, knownRaster, smoothPicture } from './builders.ts'

const sides = integer({ min: 8, max: 120 })
const padding = constantFrom(0, 1, 8, 32, 512)

/** A mask with one white box in it. */
const masks = tuple(sides, sides).chain(([width, height]) =>
  tuple(
    integer({ min: 0, max: width - 2 }),
    integer({ min: 0, max: height - 2 }),
    integer({ min: 1, max: width }),
    integer({ min: 1, max: height }),
  ).map(([left, top, boxWidth, boxHeight]) => {
    const right = Math.min(width, left + boxWidth)
    const bottom = Math.min(height, top + boxHeight)
    return {
      mask: boxMask({ width, height }, [left, top, right, bottom]),
      left,
      top,
      right,
      bottom,
    }
  }),
)

describe('maskedRegion', () => {
  test('equals diffusers', () => {
    const regions = golden.regions.map(({ from, box, to, padding: around }) => {
      const mask = boxMask({ width: from[0], height: from[1] }, [box[0], box[1], box[2], box[3]])
      const region = maskedRegion(mask, { width: to[0], height: to[1], padding: around })
      const { left, top, width, height } = region
      return [left, top, left + width, top + height]
    })
    expect(regions).toEqual(golden.regions.map(({ region }) => region))
  })

  test('holds the box, lies inside, and has the proportion where the picture has room', () => {
    assert(
      property(masks, sides, tuple(sides, padding), ({ mask, ...box }, width, [height, around]) => {
        const region = maskedRegion(mask, { width, height, padding: around })
        const [right, bottom] = [region.left + region.width, region.top + region.height]
        expect(region.left).toBeGreaterThanOrEqual(0)
        expect(region.top).toBeGreaterThanOrEqual(0)
        expect(right).toBeLessThanOrEqual(mask.width)
        expect(bottom).toBeLessThanOrEqual(mask.height)
        expect(region.left).toBeLessThanOrEqual(Math.max(0, box.left - around))
        expect(right).toBeGreaterThanOrEqual(Math.min(mask.width, box.right + around))
        expect(region.top).toBeLessThanOrEqual(Math.max(0, box.top - around))
        expect(bottom).toBeGreaterThanOrEqual(Math.min(mask.height, box.bottom + around))
        const isFull = region.width === mask.width || region.height === mask.height
        const ideal = (region.width * height) / width
        const isProportional = Math.abs(region.height - ideal) < Math.max(1, height / width) + 1e-9
        expect(isFull || isProportional).toBe(true)
      }),
      { numRuns: 100 },
    )
  })

  test('counts the faintest grey as masked', () => {
    const mask = boxMask({ width: 20, height: 20 }, [4, 6, 9, 11], 1)
    expect(maskedRegion(mask, { width: 64, height: 64, padding: 0 })).toEqual({
      left: 4,
      top: 6,
      width: 5,
      height: 5,
    })
  })

  test('takes a black mask for a bug of the caller', () => {
    const mask = boxMask({ width: 4, height: 4 }, [0, 0, 0, 0])
    expect(() => maskedRegion(mask, { width: 8, height: 8, padding: 0 })).toThrow('not black')
  })
})

describe('cropPicture and cropMask', () => {
  test('cut the same pixels out', () => {
    const region = { left: 3, top: 2, width: 4, height: 5 }
    const picture = cropPicture(knownPicture(12, 9), region)
    const grey = knownRaster(12, 9, 1)
    const mask = cropMask({ width: 12, height: 9, values: grey.samples }, region)
    expect(picture.pixels[0]).toBe(knownPicture(12, 9).pixels[(2 * 12 + 3) * 3])
    expect(picture.pixels.at(-1)).toBe(knownPicture(12, 9).pixels[(6 * 12 + 6) * 3 + 2])
    expect(mask.values[0]).toBe(grey.samples[2 * 12 + 3])
    expect(mask.values.at(-1)).toBe(grey.samples[6 * 12 + 6])
    expect([picture.pixels.length, mask.values.length]).toEqual([60, 20])
  })

  test.each([
    { left: -1, top: 0, width: 4, height: 4 },
    { left: 9, top: 0, width: 4, height: 4 },
    { left: 0, top: 6, width: 4, height: 4 },
  ])('refuse a region that is not inside: $left,$top', (region) => {
    expect(() => cropPicture(knownPicture(12, 9), region)).toThrow('a region lies inside')
  })
})

describe('pastePicture', () => {
  test.each(golden.overlaid)('equals diffusers within two levels: $region', (expected) => {
    const [left, top, right, bottom] = expected.region
    const region = { left, top, width: right - left, height: bottom - top }
    const original = knownPicture(37, 23)
    const mask = { width: 37, height: 23, values: knownRaster(37, 23, 1).samples }
    const result = pastePicture(original, knownPicture(24, 16), { region, mask })
    const theirs = { ...original, pixels: Uint8Array.from(Buffer.from(expected.bytes, 'base64')) }
    // Outside of the region diffusers mixes with black where the mask is grey; we keep the bytes.
    const [ours, other] = [cropPicture(result, region), cropPicture(theirs, region)]
    expect(distance(ours.pixels, other.pixels)).toBeLessThanOrEqual(2)
  })

  test('keeps every byte outside of the region and where the mask is 0', () => {
    assert(
      property(masks, sides, tuple(sides, padding), ({ mask }, width, [height, around]) => {
        const region = maskedRegion(mask, { width, height, padding: around })
        const original = smoothPicture(mask.width, mask.height)
        const result = pastePicture(original, knownPicture(width, height), { region, mask })
        for (let at = 0; at < result.pixels.length; at++) {
          if (mask.values[Math.floor(at / 3)] > 0) continue
          if (result.pixels[at] !== original.pixels[at]) throw new Error(`changed at ${at}`)
        }
      }),
      { numRuns: 100 },
    )
  })

  test('shows all paint at 255, none at 0, and half at 128', () => {
    const [width, height] = [3, 1]
    const original = { width, height, pixels: new Uint8Array(9).fill(10) }
    const painted = { width, height, pixels: new Uint8Array(9).fill(210) }
    const mask = { width, height, values: Uint8Array.of(0, 128, 255) }
    const region = { left: 0, top: 0, width, height }
    const { pixels } = pastePicture(original, painted, { region, mask })
    expect([...pixels]).toEqual([10, 10, 10, 110, 110, 110, 210, 210, 210])
  })
})
