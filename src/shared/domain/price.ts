import { assert } from '../assert.ts'
import type { Parameters } from '../crd/generation-job.ts'
import type { ModelSpec } from '../crd/model.ts'
import { callsPerImage, type PlannedJob } from './job-calls.ts'

/** What a Model asks for its work, in micro-credits; an absent rate is 0. */
export type Rates = ModelSpec['price']

/** What a job makes the model do, over all its pictures. */
export type PriceBasis = {
  readonly images: number
  /** Evaluations of the UNet; the two guidance passes of one count once. */
  readonly modelCalls: number
  /** Millions of pixels at which the model works. */
  readonly megapixels: number
}

/** The price of a job, frozen when it is accepted. */
export type JobPrice = {
  readonly microCredits: number
  /** Pictures asked for. */
  readonly images: number
  /** Absent for jobs of earlier releases and for those that can never run. */
  readonly basis?: PriceBasis
}

/** One rate at work: the lines of a price add up to it. */
export type PriceLine = {
  readonly name: 'Job' | 'Image' | 'MegapixelStep' | 'TrainingStep'
  /** Exact decimal with at most six places: how often the rate is due. */
  readonly quantity: string
  readonly rateMicroCredits: number
  readonly microCredits: number
}

export type Priced = {
  readonly microCredits: number
  readonly breakdown: readonly PriceLine[]
}

export type PricedJob = Priced & Required<JobPrice>

/**
 * What a job costs: a part per job, a part per picture, and a part per megapixel-step, that is per
 * 1,000,000 pixels of one picture in one model call, rounded up for each picture. Schedulers of
 * second order make about twice the calls, so they cost about twice as much. Null when the price
 * is more than an integer can hold exactly; no account can have so much.
 */
export function priceJob(job: PlannedJob, rates: Rates): PricedJob | null {
  const basis = priceBasis(job)
  const { width = 0, height = 0 } = job.parameters
  const pixelCalls = BigInt(width * height) * BigInt(callsPerImage(job))
  const images = BigInt(basis.images)
  const { flatMicroCredits, perImageMicroCredits, perMegapixelStepMicroCredits: perStep } = rates
  const perPicture = roundUp(pixelCalls * BigInt(perStep ?? 0), million)
  const priced = sumLines([
    counted('Job', flatMicroCredits, 1n),
    counted('Image', perImageMicroCredits, images),
    {
      name: 'MegapixelStep',
      rate: perStep,
      millionths: pixelCalls * images,
      due: perPicture * images,
    },
  ])
  return priced === null ? null : { ...priced, images: basis.images, basis }
}

export type TrainingWork = { readonly images: number; readonly steps: number }

/** What a training costs: pictures × steps × rate. Null as for `priceJob`. */
export function priceTraining({ images, steps }: TrainingWork, rates: Rates): Priced | null {
  assert(
    [images, steps].every((count) => Number.isSafeInteger(count) && count >= 0),
    'are counts',
  )
  const rate = rates.perTrainingStepMicroCredits
  return sumLines([counted('TrainingStep', rate, BigInt(images) * BigInt(steps))])
}

/** What a job will make its model do. */
export function priceBasis(job: PlannedJob): PriceBasis {
  const { width = 0, height = 0 } = job.parameters
  const images = countImages(job.parameters)
  const calls = callsPerImage(job) * images
  return { images, modelCalls: calls, megapixels: (width * height * images) / 1e6 }
}

export function countImages({
  batchCount,
  batchSize,
}: Pick<Parameters, 'batchCount' | 'batchSize'>): number {
  return (batchCount ?? 1) * (batchSize ?? 1)
}

type Draft = {
  readonly name: PriceLine['name']
  readonly rate: number | undefined
  /** Quantity × 1,000,000. */
  readonly millionths: bigint
  /** In micro-credits. */
  readonly due: bigint
}

const million = 1_000_000n

function counted(name: PriceLine['name'], rate: number | undefined, quantity: bigint): Draft {
  return { name, rate, millionths: quantity * million, due: quantity * BigInt(rate ?? 0) }
}

/** Absent rates have no line. */
function sumLines(drafts: readonly Draft[]): Priced | null {
  const total = drafts.reduce((sum, { due }) => sum + due, 0n)
  assert(total >= 0n, 'rates and quantities are never negative')
  if (total > BigInt(Number.MAX_SAFE_INTEGER)) return null
  const breakdown = drafts.flatMap(({ name, rate, millionths, due }) => {
    if (rate === undefined) return []
    const quantity = decimalText(millionths)
    return [{ name, quantity, rateMicroCredits: rate, microCredits: Number(due) }]
  })
  return { microCredits: Number(total), breakdown }
}

function roundUp(value: bigint, by: bigint): bigint {
  return (value + by - 1n) / by
}

/** What came of a job. */
export type Work = {
  /** Pictures that were delivered. */
  readonly images: number
  /**
   * Model calls that were made over all pictures, for a job that its owner cancelled; 0 where
   * nothing is due for pictures that were not delivered.
   */
  readonly stepsDone: number
}

/**
 * What a job's owner pays: the delivered pictures' share of the price, and of each other picture
 * the share k/n that its k of n model calls are. Whatever a pod says it did, pictures that were not
 * delivered never cost more than delivered ones. Rounded down, so never above the price.
 */
export function chargeFor({ microCredits, images, basis }: JobPrice, work: Work): number {
  assert(Number.isInteger(work.images) && work.images >= 0, 'pictures are counted')
  assert(Number.isInteger(work.stepsDone) && work.stepsDone >= 0, 'model calls are counted')
  if (images === 0) return 0
  const delivered = Math.min(work.images, images)
  const calls = basis === undefined ? 0 : basis.modelCalls / images
  // Without model calls a picture is one step, which only its delivery completes.
  if (calls === 0) return shareOf(microCredits, delivered, images)
  assert(Number.isInteger(calls), 'every picture makes the same model calls')
  const begun = clamp(work.stepsDone - delivered * calls, (images - delivered) * calls)
  return shareOf(microCredits, delivered * calls + begun, images * calls)
}

/** Divide before multiplying would lose precision; BigInt keeps the product exact. */
function shareOf(microCredits: number, part: number, whole: number): number {
  assert(part <= whole, 'a part is not more than the whole')
  return Number((BigInt(microCredits) * BigInt(part)) / BigInt(whole))
}

function clamp(value: number, max: number): number {
  return Math.min(max, Math.max(0, value))
}

/** Decimal credits with at most six places, as REST shows them: 1500000 → "1.5". */
export function formatCredits(microCredits: number | bigint): string {
  const isExact = typeof microCredits === 'bigint' || Number.isSafeInteger(microCredits)
  assert(isExact, 'credits are integers')
  return decimalText(BigInt(microCredits))
}

function decimalText(millionths: bigint): string {
  const [sign, size] = millionths < 0n ? ['-', -millionths] : ['', millionths]
  const digits = String(size).padStart(7, '0')
  const fraction = digits.slice(-6).replace(/0+$/, '')
  return `${sign}${digits.slice(0, -6)}${fraction === '' ? '' : `.${fraction}`}`
}

/** "1.5" → 1500000, without floats: at most six places after the point. */
export function parseCredits(credits: string): number {
  const [whole = '', fraction = ''] = credits.split('.')
  const microCredits = Number(whole + fraction.padEnd(6, '0'))
  assert(Number.isSafeInteger(microCredits) && microCredits >= 0, 'credits are bounded decimals')
  return microCredits
}
