import { assert } from '../assert.ts'
import type { Parameters } from '../crd/generation-job.ts'
import { callsPerImage, type PlannedJob } from './job-calls.ts'

/** What a job makes the model do, over all its pictures: rates of later releases count this. */
export type PriceBasis = {
  readonly images: number
  /** Evaluations of the UNet; the two guidance passes of one count once. */
  readonly modelCalls: number
  /** Millions of pixels at which the model works. */
  readonly megapixels: number
}

export type Quote = {
  readonly microCredits: number
  /** Pictures asked for. */
  readonly images: number
}

type Batch = Pick<Parameters, 'batchCount' | 'batchSize'>

/** The flat price of this release: every picture costs the same. */
export function quoteFlat(perImageMicroCredits: number, batch: Batch): Quote {
  const images = countImages(batch)
  const microCredits = perImageMicroCredits * images
  assert(Number.isSafeInteger(microCredits) && microCredits >= 0, 'a price is an exact integer')
  return { microCredits, images }
}

/** What a job will make its model do. */
export function priceBasis(job: PlannedJob): PriceBasis {
  const { width = 0, height = 0 } = job.parameters
  const images = countImages(job.parameters)
  const calls = callsPerImage(job) * images
  return { images, modelCalls: calls, megapixels: (width * height * images) / 1e6 }
}

function countImages({ batchCount, batchSize }: Batch): number {
  return (batchCount ?? 1) * (batchSize ?? 1)
}

/** What delivered pictures cost: their share of the quote, never above it, rounded down. */
export function chargeDelivered(quote: Quote, delivered: number): number {
  assert(Number.isInteger(delivered) && delivered >= 0, 'pictures are counted')
  if (quote.images === 0 || delivered >= quote.images) return quote.microCredits
  // Divide before multiplying would lose precision; BigInt keeps the product exact.
  return Number((BigInt(quote.microCredits) * BigInt(delivered)) / BigInt(quote.images))
}

/** Decimal credits with at most six places, as REST shows them: 1500000 → "1.5". */
export function formatCredits(microCredits: number): string {
  assert(Number.isSafeInteger(microCredits), 'credits are integers')
  const sign = microCredits < 0 ? '-' : ''
  const digits = String(Math.abs(microCredits)).padStart(7, '0')
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
