import { describe, expect, test } from 'vitest'
import {
  largestNeedBytes,
  mayLoadEarly,
  memoryNeedBytes,
  requireMemory,
} from '../../../src/inference/models/memory-need.ts'
import { AppError } from '../../../src/shared/errors.ts'

const mebibyte = 2 ** 20
const side = { min: 500, max: 2000, multipleOf: 500 }
const model = {
  name: 'large',
  sizes: { width: side, height: { ...side, max: 1000 } },
  memory: { loadedBytes: 100 * mebibyte, perMegapixelBytes: 40 * mebibyte },
}
const request = { width: 1000, height: 500, imagesPerRun: 1, loras: [] }

function refusal(change: Partial<Parameters<typeof memoryNeedBytes>[1]>, budgetBytes: number) {
  try {
    requireMemory(model, { ...request, ...change }, budgetBytes)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  return undefined
}

describe('the memory that a job needs', () => {
  test.each([
    ['once loaded, and for half a megapixel', {}, 120],
    ['for each picture of a run', { imagesPerRun: 3 }, 160],
    ['for LoRAs, four times their files', { loras: [{ sizeBytes: 5 * mebibyte }] }, 140],
  ])('counts %s', (_, change, mebibytes) => {
    expect(memoryNeedBytes(model, { ...request, ...change }) / mebibyte).toBe(mebibytes)
  })

  test('is largest at the largest size', () => {
    expect(largestNeedBytes(model) / mebibyte).toBe(180)
  })

  test('may be exactly what there is, and not one byte more', () => {
    const needBytes = 120 * mebibyte
    expect(refusal({}, needBytes)).toBeUndefined()
    expect(refusal({}, needBytes - 1)?.code).toBe('inference.memory_insufficient')
  })

  test('is named with both numbers in a refusal', () => {
    const error = refusal({ imagesPerRun: 2, loras: [{ sizeBytes: 1 }] }, 64 * mebibyte)
    expect(error?.message).toBe(
      'large at 1000x500, 2 pictures at once, 1 LoRAs needs 141 MiB of memory, the pod has 64 MiB',
    )
    expect(error?.details).toEqual({ needMebibytes: 141, budgetMebibytes: 64 })
  })

  test('lets a model load early only when a job of any size would fit', () => {
    expect(mayLoadEarly(model, 180 * mebibyte)).toBe(true)
    expect(mayLoadEarly(model, 180 * mebibyte - 1)).toBe(false)
  })
})
