import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { schedulers } from '../../../src/shared/domain/job-schedulers.ts'
import {
  chargeFor,
  formatCredits,
  priceBasis,
  priceJob,
  priceTraining,
  type Rates,
} from '../../../src/shared/domain/price.ts'
import { longTests } from '../../support/long.ts'

const family = 'StableDiffusion1' as const
const numRuns = longTests ? 10_000 : 300

function planned(parameters: object, task: 'TextToImage' | 'ImageToImage' = 'TextToImage') {
  const base = { width: 512, height: 512, steps: 20, scheduler: 'Euler' }
  return { task, parameters: { ...base, ...parameters }, family }
}

function costOf(parameters: object, rates: Rates): number | undefined {
  return priceJob(planned(parameters), rates)?.microCredits
}

describe('the price of a job', () => {
  it.each([
    [{}, { perImageMicroCredits: 1_500_000 }, 1_500_000],
    [{ batchCount: 3 }, { perImageMicroCredits: 1_500_000 }, 4_500_000],
    [{ batchCount: 3, batchSize: 4 }, { perImageMicroCredits: 2 }, 24],
    [{ batchCount: 3, batchSize: 4 }, { flatMicroCredits: 7 }, 7],
    [{ batchCount: 3 }, { flatMicroCredits: 7, perImageMicroCredits: 2 }, 13],
    // 0.262144 megapixels × 20 calls × 1,000,000.
    [{}, { perMegapixelStepMicroCredits: 1_000_000 }, 5_242_880],
    [{ steps: 1 }, { perMegapixelStepMicroCredits: 1_000_000 }, 262_144],
    // 0.000064 × 1 call, rounded up for each of 5 pictures.
    [{ width: 8, height: 8, steps: 1, batchCount: 5 }, { perMegapixelStepMicroCredits: 1 }, 5],
    [{}, {}, 0],
    [{ batchCount: 9 }, { perTrainingStepMicroCredits: 5 }, 0],
    [{ batchCount: 100, batchSize: 16 }, { perImageMicroCredits: 1_000_000_000_000 }, 16e14],
  ])('of %j at %j is %i', (parameters, rates, microCredits) => {
    expect(costOf(parameters, rates)).toBe(microCredits)
  })

  it('says how it came about, line by line', () => {
    const rates = {
      flatMicroCredits: 10,
      perImageMicroCredits: 0,
      perMegapixelStepMicroCredits: 1_000_000,
    }
    expect(priceJob(planned({ batchCount: 2 }), rates)).toEqual({
      microCredits: 10_485_770,
      images: 2,
      basis: { images: 2, modelCalls: 40, megapixels: 0.524288 },
      breakdown: [
        { name: 'Job', quantity: '1', rateMicroCredits: 10, microCredits: 10 },
        { name: 'Image', quantity: '2', rateMicroCredits: 0, microCredits: 0 },
        {
          name: 'MegapixelStep',
          quantity: '10.48576',
          rateMicroCredits: 1_000_000,
          microCredits: 10_485_760,
        },
      ],
    })
  })

  it('is refused as a whole where a number could not hold it', () => {
    const rates = { perMegapixelStepMicroCredits: 1_000_000_000_000 }
    const small = { width: 4096, height: 4096, steps: 100 }
    expect(costOf(small, rates)).toBe(16_777_216 * 1e8)
    expect(costOf({ ...small, batchCount: 5 }, rates)).toBe(16_777_216 * 5e8)
    expect(costOf({ ...small, batchCount: 6 }, rates)).toBeUndefined()
    expect(costOf({ ...small, batchCount: 100, batchSize: 16 }, rates)).toBeUndefined()
  })

  it.each(schedulers.map(({ name, secondOrder }) => [name, secondOrder] as const))(
    'of %s counts a second order twice: %s',
    (scheduler, secondOrder) => {
      const rates = { perMegapixelStepMicroCredits: 1_000_000 }
      const euler = costOf({ steps: 50 }, rates) ?? 0
      const share = (costOf({ steps: 50, scheduler }, rates) ?? 0) / euler
      // The last step of a second-order scheduler is of first order; PNDM warms up with one more.
      expect(share).toBeCloseTo(secondOrder ? 99 / 50 : 1, scheduler === 'PNDM' ? 1 : 9)
    },
  )

  it('of a job that starts from a picture leaves out the steps that are skipped', () => {
    const rates = { perMegapixelStepMicroCredits: 1_000_000 }
    const half = priceJob(planned({ strength: 0.5 }, 'ImageToImage'), rates)
    expect(half?.microCredits).toBe(2_621_440)
  })
})

const ratesOf = fc.record({
  flatMicroCredits: fc.integer({ min: 0, max: 1e7 }),
  perImageMicroCredits: fc.integer({ min: 0, max: 1e7 }),
  perMegapixelStepMicroCredits: fc.integer({ min: 1, max: 1e7 }),
})
const sizeOf = fc.integer({ min: 1, max: 512 }).map((eighths) => eighths * 8)
const parametersOf = fc.record({
  width: sizeOf,
  height: sizeOf,
  steps: fc.integer({ min: 1, max: 100 }),
  batchCount: fc.integer({ min: 1, max: 100 }),
  batchSize: fc.integer({ min: 1, max: 16 }),
  scheduler: fc.constantFrom(...schedulers.map(({ name }) => name)),
})

describe('every price', () => {
  it('is the sum of its lines, a whole number and never negative', () => {
    const property = fc.property(parametersOf, ratesOf, (parameters, rates) => {
      const priced = priceJob(planned(parameters), rates)
      const lines = (priced?.breakdown ?? []).map(({ microCredits }) => microCredits)
      expect(lines.every((line) => Number.isSafeInteger(line) && line >= 0)).toBe(true)
      expect(lines.reduce((sum, line) => sum + line, 0)).toBe(priced?.microCredits)
    })
    fc.assert(property, { numRuns })
  })

  it.each(['steps', 'width', 'height', 'batchCount', 'batchSize'] as const)(
    'never falls when %s grows',
    (field) => {
      const max = { steps: 100, width: 4096, height: 4096, batchCount: 100, batchSize: 16 }[field]
      const by = field === 'width' || field === 'height' ? 8 : 1
      const property = fc.property(parametersOf, ratesOf, (parameters, rates) => {
        fc.pre(parameters[field] + by <= max)
        const more = { ...parameters, [field]: parameters[field] + by }
        const [less, grown] = [costOf(parameters, rates) ?? 0, costOf(more, rates) ?? 0]
        expect(grown).toBeGreaterThanOrEqual(less)
      })
      fc.assert(property, { numRuns })
    },
  )
})

describe('defect 4 of the old studio: a 1-step and a 100-step image cost the same', () => {
  it('cannot happen where steps have a rate that rounding does not hide', () => {
    const property = fc.property(parametersOf, ratesOf, (parameters, rates) => {
      const { width, height } = parameters
      fc.pre((width * height * 99 * rates.perMegapixelStepMicroCredits) / 1e6 >= 1)
      const one = costOf({ ...parameters, steps: 1 }, rates) ?? 0
      expect(costOf({ ...parameters, steps: 100 }, rates)).toBeGreaterThan(one)
    })
    fc.assert(property, { numRuns })
    const rates = { perImageMicroCredits: 100_000, perMegapixelStepMicroCredits: 100_000 }
    expect(costOf({ steps: 1 }, rates)).toBe(126_215)
    expect(costOf({ steps: 100 }, rates)).toBe(2_721_440)
  })
})

describe('the price of a training', () => {
  it.each([
    [{ images: 0, steps: 1000 }, 0],
    [{ images: 20, steps: 1500 }, 90_000],
  ])('of %j is pictures × steps × rate', (work, microCredits) => {
    const priced = priceTraining(work, { perTrainingStepMicroCredits: 3, flatMicroCredits: 99 })
    const quantity = String(work.images * work.steps)
    const line = { name: 'TrainingStep', quantity, rateMicroCredits: 3, microCredits }
    expect(priced).toEqual({ microCredits, breakdown: [line] })
  })

  it('is free without a rate and refused where a number could not hold it', () => {
    expect(priceTraining({ images: 9, steps: 9 }, {})).toEqual({ microCredits: 0, breakdown: [] })
    const rates = { perTrainingStepMicroCredits: 1e12 }
    expect(priceTraining({ images: 9, steps: 1000 }, rates)?.microCredits).toBe(9e15)
    expect(priceTraining({ images: 10, steps: 1000 }, rates)).toBeNull()
    expect(() => priceTraining({ images: -1, steps: 1 }, rates)).toThrow('counts')
  })
})

describe('what a job is charged', () => {
  const basis = { images: 4, modelCalls: 40, megapixels: 1 }
  const price = { microCredits: 1000, images: 4, basis }

  it.each([
    ['everything', { images: 4, stepsDone: 40 }, 1000],
    ['more than was asked for', { images: 9, stepsDone: 400 }, 1000],
    ['nothing', { images: 0, stepsDone: 0 }, 0],
    ['delivered pictures', { images: 3, stepsDone: 0 }, 750],
    ['step 1 of 10 of the first picture', { images: 0, stepsDone: 1 }, 25],
    ['step 7 of 10 of the second picture', { images: 1, stepsDone: 17 }, 425],
    ['all steps of pictures that were not delivered', { images: 0, stepsDone: 40 }, 1000],
    ['a pod that lies', { images: 1, stepsDone: 1_000_000 }, 1000],
    ['steps of delivered pictures, which are not paid twice', { images: 2, stepsDone: 20 }, 500],
    ['fewer steps than the delivered pictures took', { images: 2, stepsDone: 3 }, 500],
  ])('for %s', (_, work, microCredits) => {
    expect(chargeFor(price, work)).toBe(microCredits)
  })

  it('is rounded down', () => {
    const uneven = { microCredits: 10, images: 3 }
    const charges = [0, 1, 2, 3, 4].map((images) => chargeFor(uneven, { images, stepsDone: 5 }))
    expect(charges).toEqual([0, 3, 6, 10, 10])
    const steps = { images: 3, modelCalls: 21, megapixels: 1 }
    expect(chargeFor({ ...uneven, basis: steps }, { images: 1, stepsDone: 12 })).toBe(5)
  })

  it('of a job without pictures is nothing, and negative work is a bug', () => {
    expect(chargeFor({ microCredits: 0, images: 0 }, { images: 0, stepsDone: 0 })).toBe(0)
    expect(() => chargeFor(price, { images: -1, stepsDone: 0 })).toThrow('counted')
    expect(() => chargeFor(price, { images: 0, stepsDone: -1 })).toThrow('counted')
  })

  it('stays exact at the largest prices', () => {
    const largest = { microCredits: 1.6e15, images: 1600 }
    expect(chargeFor(largest, { images: 1599, stepsDone: 0 })).toBe(1_599_000_000_000_000)
  })

  it('is never above the price, never negative, and grows with the work', () => {
    const workOf = fc.record({
      images: fc.integer({ min: 0, max: 7 }),
      stepsDone: fc.integer({ min: 0, max: 2000 }),
    })
    const property = fc.property(parametersOf, ratesOf, workOf, (given, rates, work) => {
      const priced = priceJob(planned(given), rates)
      if (priced === null) return
      const less = chargeFor(priced, work)
      const more = chargeFor(priced, { images: work.images + 1, stepsDone: work.stepsDone + 1 })
      expect(less).toBeGreaterThanOrEqual(0)
      expect(less).toBeLessThanOrEqual(more)
      expect(more).toBeLessThanOrEqual(priced.microCredits)
      const all = { images: priced.images, stepsDone: 0 }
      expect(chargeFor(priced, all)).toBe(priced.microCredits)
    })
    fc.assert(property, { numRuns })
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
