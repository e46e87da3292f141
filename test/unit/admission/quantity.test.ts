import { describe, expect, it } from 'vitest'
import { parseQuantity } from '../../../src/shared/domain/admission/quantity.ts'
import { fitsInto, resourcesOf } from '../../../src/shared/domain/admission/resources.ts'

describe('a quantity', () => {
  it.each([
    ['0', 0],
    ['8', 8],
    ['500m', 0.5],
    ['1.5', 1.5],
    ['.5', 0.5],
    ['2Ki', 2048],
    ['2Gi', 2 * 2 ** 30],
    ['1k', 1000],
    ['3M', 3_000_000],
    ['1e3', 1000],
    ['12E', 12e18],
    ['1E2', 100],
    ['100u', 0.0001],
  ])('%s stands for %d', (text, number) => {
    expect(parseQuantity(text)).toBeCloseTo(number, 9)
  })

  it.each([undefined, '', 'many', '1 Gi', '1gi', 'Gi'])('%s stands for nothing', (text) => {
    expect(parseQuantity(text)).toBe(0)
  })
})

describe('resources', () => {
  it('are read as whole numbers', () => {
    expect(resourcesOf({ 'nvidia.com/gpu': '2', cpu: '250m', memory: '64Mi', pods: '9' })).toEqual({
      gpus: 2,
      cpuMillis: 250,
      memoryBytes: 64 * 2 ** 20,
    })
    expect(resourcesOf()).toEqual({ gpus: 0, cpuMillis: 0, memoryBytes: 0 })
  })

  const free = { gpus: 1, cpuMillis: 1000, memoryBytes: 1000 }
  it.each([
    [{ gpus: 1, cpuMillis: 1000, memoryBytes: 1000 }, true],
    [{ gpus: 2, cpuMillis: 1, memoryBytes: 1 }, false],
    [{ gpus: 1, cpuMillis: 1001, memoryBytes: 1 }, false],
    [{ gpus: 1, cpuMillis: 1, memoryBytes: 1001 }, false],
  ])('fit only when everything fits: %o → %s', (request, fits) => {
    expect(fitsInto(request, free)).toBe(fits)
  })

  it('without GPUs fit onto a Node whose GPUs are overcommitted', () => {
    expect(fitsInto({ gpus: 0, cpuMillis: 1, memoryBytes: 1 }, { ...free, gpus: -1 })).toBe(true)
  })
})
