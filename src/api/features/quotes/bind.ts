import { createHash } from 'node:crypto'
import type { Caller } from '../../../shared/domain/caller.ts'
import { canonicalJson } from '../../../shared/domain/canonical-json.ts'
import type { Priced } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { JobRequest } from '../../../shared/wire/job-requests.ts'
import type { QuoteRow, QuoteStore } from './store.ts'

/** Requests that mean the same, whatever the order of their fields, have one digest. */
export function requestHashOf(request: JobRequest): string {
  return createHash('sha256').update(canonicalJson(request)).digest('hex')
}

export type QuoteUse = {
  readonly id: string
  readonly caller: Caller
  readonly request: JobRequest
  readonly nowMs: number
}

/**
 * The price that a quote promises. It may be used more than once while it lasts.
 * Errors: `quote.invalid` naming `/quote`, alike for one that never was and for somebody else's.
 */
export async function quotedPrice(
  quotes: Pick<QuoteStore, 'find'>,
  use: QuoteUse,
): Promise<Priced> {
  const quote = await quotes.find(use.id)
  if (quote === null || !isOwn(quote, use.caller)) throw invalidQuote('there is no such quote')
  if (quote.requestHash !== requestHashOf(use.request)) {
    throw invalidQuote('the quote is for another request')
  }
  if (use.nowMs >= quote.expiresMs) throw invalidQuote('the quote has expired; ask for a new one')
  return quote.priced
}

function isOwn({ owner }: QuoteRow, { department, userId }: Caller): boolean {
  return owner.department === department && owner.user === userId
}

function invalidQuote(message: string): AppError {
  return new AppError('quote.invalid', message, { fields: [{ path: '/quote', message }] })
}
