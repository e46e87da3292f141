import { describe, expect, test } from 'vitest'
import { symmetricBetaQuantile } from '../../../src/inference/schedulers/beta-quantile.ts'
import { limitOriginal } from '../../../src/inference/schedulers/limit-original.ts'

describe('symmetricBetaQuantile', () => {
  // scipy.stats.beta.ppf(share, shape, shape)
  test.each([
    [0, 0.6, 0],
    [1e-12, 0.6, 1.8558824624914097e-20],
    [1e-6, 0.6, 1.8558824624053043e-10],
    [0.01, 0.6, 0.0008612388215429059],
    [0.25, 0.6, 0.17568037865269498],
    [0.7, 0.6, 0.7659829961247643],
    [0.999999, 0.6, 0.9999999998144118],
    [1, 0.6, 1],
    [0.01, 2.5, 0.08356298774533535],
    [0.7, 2.5, 0.6213520577345824],
  ])('of share %d and shape %d is scipy’s', (share, shape, expected) => {
    const value = symmetricBetaQuantile(share, shape)
    expect(Math.abs(value - expected)).toBeLessThanOrEqual(1e-13 * expected)
  })

  test('rises with the share, from 0 to 1', () => {
    const values = Array.from({ length: 101 }, (_, i) => symmetricBetaQuantile(i / 100, 0.6))
    expect(values).toEqual(values.toSorted((a, b) => a - b))
    expect([values[0], values[50], values[100]]).toEqual([0, expect.closeTo(0.5, 12), 1])
  })
})

describe('limitOriginal', () => {
  const values = Float64Array.of(0.5, -4, 3, 1, -2)

  test('leaves the picture alone without a setting', () => {
    expect(limitOriginal({}, values)).toBe(values)
  })

  test('clips', () => {
    const clipped = limitOriginal({ clip_sample: true, clip_sample_range: 2 }, values)
    expect([...clipped]).toEqual([0.5, -2, 2, 1, -2])
  })

  test('divides by the quantile of the absolute values, whole and between two of them', () => {
    const settings = { thresholding: true, sample_max_value: 10 }
    const at = (ratio: number) => [
      ...limitOriginal({ ...settings, dynamic_thresholding_ratio: ratio }, values),
    ]
    expect(at(1)).toEqual([0.125, -1, 0.75, 0.25, -0.5])
    expect(at(0.875)).toEqual([0.5, -3.5, 3, 1, -2].map((x) => x / 3.5))
  })

  test('keeps the bound from 1 to the highest value, and goes before clipping', () => {
    const low = { thresholding: true, dynamic_thresholding_ratio: 0, clip_sample: true }
    expect([...limitOriginal({ ...low, sample_max_value: 10 }, values)]).toEqual([
      0.5, -1, 1, 1, -1,
    ])
    const high = { thresholding: true, dynamic_thresholding_ratio: 1, sample_max_value: 2 }
    expect([...limitOriginal(high, values)]).toEqual([0.25, -1, 1, 0.5, -1])
  })
})
