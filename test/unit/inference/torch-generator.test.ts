import { describe, expect, test } from 'vitest'
import { TorchGenerator } from '../../../src/inference/random/torch-generator.ts'
import { seedOfImage } from '../../../src/inference/pipelines/generate-images.ts'

const draw = (seed: number) => new TorchGenerator(seed).randn(64)

describe('TorchGenerator', () => {
  test('repeats itself for one seed and differs for another', () => {
    expect(draw(5)).toEqual(draw(5))
    expect(draw(5)).not.toEqual(draw(6))
  })

  test('counts only the low 32 bits of a seed', () => {
    expect(new TorchGenerator(2n ** 40n + 3n).rand(4)).toEqual(new TorchGenerator(3).rand(4))
  })

  test('keeps the second normal of a small draw for the next small one', () => {
    const split = new TorchGenerator(1)
    const parts = [...split.randn(3), ...split.randn(2), ...split.randn(1)]
    expect(parts).toEqual([...new TorchGenerator(1).randn(6)])
  })

  test('draws nothing for a count of zero', () => {
    expect(new TorchGenerator(1).randn(0)).toHaveLength(0)
  })
})

describe('seedOfImage', () => {
  test('counts on from the seed and starts again after the last one', () => {
    expect(seedOfImage(7, 0)).toBe(7)
    expect(seedOfImage(7, 3)).toBe(10)
    expect(seedOfImage(4_294_967_295, 1)).toBe(0)
  })
})
