import type { Database } from '../../../platform/mongo/database.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Priced } from '../../../shared/domain/price.ts'
import type { LeaderTask } from '../../people.ts'

/** A price that somebody was told, and for what. Never changed. */
export type QuoteRow = {
  readonly _id: string
  readonly owner: { readonly department: string; readonly user: string }
  /** Digest of the request in canonical JSON. */
  readonly requestHash: string
  readonly priced: Priced
  readonly expiresMs: number
}

/** The only writer of the collection `quotes`. */
export type QuoteStore = {
  readonly insert: (row: QuoteRow) => Promise<boolean>
  readonly find: (id: string) => Promise<QuoteRow | null>
  /** Without an index: a few minutes of quotes are looked through every few minutes. */
  readonly removeExpired: (beforeMs: number) => Promise<number>
}

export function openQuoteStore(database: Database): QuoteStore {
  const quotes = database.documents<QuoteRow>('quotes')
  return {
    insert: async (row) => await quotes.insert(row),
    find: async (id) => await quotes.findById(id),
    removeExpired: async (beforeMs) => await quotes.removeMany({ expiresMs: { $lt: beforeMs } }),
  }
}

const forgetEveryMs = 600_000
/** So long somebody is told that their quote has expired, and not that there was none. */
const keptMs = 3_600_000

export type ForgetDeps = {
  readonly quotes: Pick<QuoteStore, 'removeExpired'>
  readonly clock: Clock
}

/** For `leaderTasks`. */
export function forgetQuotesTask({ quotes, clock }: ForgetDeps): LeaderTask {
  return {
    name: 'forget-quotes',
    everyMs: forgetEveryMs,
    run: async () => await quotes.removeExpired(clock.nowMs() - keptMs),
  }
}
