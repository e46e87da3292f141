import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  chargeDelivered,
  formatCredits,
  priceBasis,
  quoteFlat,
} from '../../../src/shared/domain/price.ts'

describe('the flat price', () => {
  it.each([
    [{}, 1],
    [{ batchCount: 3 }, 3],
    [{ batchCount: 3, batchSize: 4 }, 12],
  ])('counts every picture of %j', (batch, images) => {
    expect(quoteFlat(1_500_000, batch)).toEqual({ images, microCredits: images * 1_500_000 })
  })

  it('charges the delivered share, rounded down and never above the quote', () => {
    const quote = { microCredits: 10, images: 3 }
    expect([0, 1, 2, 3, 4].map((count) => chargeDelivered(quote, count))).toEqual([0, 3, 6, 10, 10])
    expect(chargeDelivered({ microCredits: 0, images: 0 }, 0)).toBe(0)
  })

  it('stays exact at the largest prices', () => {
    const quote = quoteFlat(1_000_000_000_000, { batchCount: 100, batchSize: 16 })
    expect(chargeDelivered(quote, 1599)).toBe(1_599_000_000_000_000)
  })
})

describe('credits as text', () => {
  it.each([
    [0, '0'],
    [1, '0.000001'],
    [1_500_000, '1.5'],
    [10_000_000, '10'],
    [-250_000, '-0.25'],
  ])('%i is %s', (microCredits, text) => {
    expect(formatCredits(microCredits)).toBe(text)
  })

  it('can be read back exactly', () => {
    const property = fc.property(fc.integer({ min: -1e15, max: 1e15 }), (microCredits) => {
      const text = formatCredits(microCredits)
      const [whole = '0', fraction = ''] = text.replace('-', '').split('.')
      const value = BigInt(whole) * 1_000_000n + BigInt(fraction.padEnd(6, '0'))
      expect(text.startsWith('-') ? -value : value).toBe(BigInt(microCredits))
    })
    fc.assert(property)
  })
})

describe('the basis of a price', () => {
  const family = 'StableDiffusion1' as const
  const parameters = { width: 64, height: 32, steps: 20, scheduler: 'Euler', batchCount: 3 }

  it('counts pictures, model calls and megapixels over all of them', () => {
    const basis = { images: 3, modelCalls: 60, megapixels: 0.006144 }
    expect(priceBasis({ task: 'TextToImage', parameters, family })).toEqual(basis)
  })

  it.each([
    ['ImageToImage', { strength: 0.5 }, 30],
    ['Inpaint', { strength: 0.26 }, 15],
    ['ImageToImage', { strength: 0 }, 0],
    ['Inpaint', { strength: 1, scheduler: 'Heun' }, 117],
    ['TextToImage', { scheduler: 'k_heun', batchSize: 2 }, 234],
  ] as const)('of %s with %j has %i calls', (task, changes, modelCalls) => {
    const job = { task, parameters: { ...parameters, ...changes }, family }
    expect(priceBasis(job)).toMatchObject({ modelCalls })
  })

  it('counts all steps of a latent consistency model that changes a picture', () => {
    const lcm = { ...parameters, steps: 4, strength: 0.2, scheduler: 'LCM', batchCount: 1 }
    const job = { task: 'ImageToImage', parameters: lcm, family: 'LatentConsistency' } as const
    expect(priceBasis(job).modelCalls).toBe(4)
    expect(priceBasis({ ...job, task: 'Inpaint' }).modelCalls).toBe(0)
    expect(priceBasis({ ...job, family }).modelCalls).toBe(0)
  })
})
