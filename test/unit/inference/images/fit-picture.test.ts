import { assert, constantFrom, integer, property, tuple } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fitPicture } from '../../../../src/inference/images/fit-picture.ts'
import { cropPicture } from '../../../../src/inference/images/masked-region.ts'
import { planPlacement, type ResizeMode } from '../../../../src/inference/images/placement.ts'
import golden from '../fixtures/resize.json' with { type: 'json' }
import { knownPicture, pictures, refusal } from './builders.ts'

const field = 'inputs[0]'
const modes: readonly ResizeMode[] = ['Fit', 'Fill', 'Stretch']
const sides = integer({ min: 1, max: 8192 })

describe('fitPicture', () => {
  test.each(golden.fitted)('equals diffusers: $mode $from to $to', ({ from, to, mode, bytes }) => {
    const source = knownPicture(from[0], from[1])
    const known = modes.find((name) => name === mode)
    const target = { width: to[0], height: to[1], mode: known, field }
    const { picture } = fitPicture(source, target)
    const expected = { ...picture, pixels: Uint8Array.from(Buffer.from(bytes, 'base64')) }
    const { scaled, left, top } = planPlacement(source, target)
    // Outside of the picture diffusers extrapolates with a bicubic kernel; we repeat the edge.
    const region = mode === 'Fit' ? { ...scaled, left, top } : { ...picture, left: 0, top: 0 }
    expect(picture).toMatchObject({ width: to[0], height: to[1] })
    expect(cropPicture(picture, region)).toEqual(cropPicture(expected, region))
  })

  test('refuses another size without a mode, and names both sizes and the modes', async () => {
    const message = await refusal(field, () =>
      fitPicture(knownPicture(6, 4), { width: 8, height: 8, mode: undefined, field }),
    )
    expect(message).toContain('is 6x4 and must be 8x8')
    for (const mode of modes) expect(message).toContain(mode)
  })

  test.each([undefined, ...modes])('hands back a picture of the right size, mode %s', (mode) => {
    const picture = knownPicture(6, 4)
    expect(fitPicture(picture, { width: 6, height: 4, mode, field })).toEqual({
      picture,
      changes: [],
    })
  })

  test.each([
    ['Fit', 'resized from 640x480 to 64x48 (Lanczos), edges repeated to 64x64'],
    ['Fill', 'resized from 640x480 to 85x64 (Lanczos), cropped to 64x64'],
    ['Stretch', 'resized from 640x480 to 64x64 (Lanczos)'],
  ] as const)('says what it did: %s', (mode, sentence) => {
    const { changes } = fitPicture(knownPicture(640, 480), { width: 64, height: 64, mode, field })
    expect(changes).toEqual([`inputs[0]: ${sentence}`])
  })

  test('says nothing of repeated edges where the proportions agree', () => {
    const target = { width: 32, height: 24, mode: 'Fit', field } as const
    expect(fitPicture(knownPicture(640, 480), target).changes).toEqual([
      'inputs[0]: resized from 640x480 to 32x24 (Lanczos)',
    ])
  })

  test('repeats edge pixels over an odd gap too', () => {
    const target = { width: 4, height: 7, mode: 'Fit', field } as const
    const { picture } = fitPicture(knownPicture(4, 2), target)
    const rows = Array.from({ length: 7 }, (_, y) => picture.pixels.subarray(y * 12, y * 12 + 12))
    const [first, second] = [rows[2], rows[3]]
    expect(rows).toEqual([first, first, first, second, second, second, second])
  })

  test('covers a square with a line without making the 25 GB around it', () => {
    const target = { width: 1024, height: 1024, mode: 'Fill', field } as const
    const { picture, changes } = fitPicture(knownPicture(8192, 1), target)
    expect(picture.pixels.length).toBe(1024 * 1024 * 3)
    expect(changes[0]).toContain('to 8388608x1024 (Lanczos), cropped to 1024x1024')
  })

  test('always has the wanted size', () => {
    const small = integer({ min: 1, max: 40 })
    assert(
      property(
        pictures,
        tuple(small, small),
        constantFrom(...modes),
        (picture, [width, height], mode) => {
          const fitted = fitPicture(picture, { width, height, mode, field }).picture
          expect(fitted).toMatchObject({ width, height })
          expect(fitted.pixels.length).toBe(width * height * 3)
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('planPlacement', () => {
  test('Fit lies inside, Fill covers, both touch and keep the shape within a pixel', () => {
    assert(
      property(
        tuple(sides, sides),
        tuple(sides, sides),
        ([fromWidth, fromHeight], [width, height]) => {
          const source = { width: fromWidth, height: fromHeight }
          const fit = planPlacement(source, { width, height, mode: 'Fit', field })
          const fill = planPlacement(source, { width, height, mode: 'Fill', field })
          expect(Math.min(fit.left, fit.top, -fill.left, -fill.top)).toBeGreaterThanOrEqual(0)
          expect(fit.left + fit.scaled.width).toBeLessThanOrEqual(width)
          expect(fit.top + fit.scaled.height).toBeLessThanOrEqual(height)
          expect(fill.left + fill.scaled.width).toBeGreaterThanOrEqual(width)
          expect(fill.top + fill.scaled.height).toBeGreaterThanOrEqual(height)
          for (const { scaled } of [fit, fill]) {
            expect(scaled.width === width || scaled.height === height).toBe(true)
            const ideal = Math.max(1, (scaled.width * fromHeight) / fromWidth)
            const slack = Math.max(1, fromHeight / fromWidth)
            expect(Math.abs(scaled.height - ideal)).toBeLessThanOrEqual(slack)
          }
        },
      ),
      { numRuns: 100 },
    )
  })
})
