import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type AccountService, openAccountService } from '../../src/api/features/accounts/service.ts'
import {
  type AccountDocument,
  type AccountStore,
  openAccountStore,
} from '../../src/api/features/accounts/store.ts'
import { startFold } from '../../src/api/tasks/audit/fold.ts'
import { systemClock } from '../../src/platform/clock/system-clock.ts'
import type { Database } from '../../src/platform/mongo/database.ts'

export type Load = {
  readonly callers: number
  readonly seconds: number
  /** One call; what it throws is counted. */
  readonly call: () => Promise<void>
}

export type LoadResult = {
  readonly callsPerSecond: number
  readonly timesMs: readonly number[]
  readonly errors: readonly unknown[]
}

/** A closed loop: every caller asks again as soon as it has its answer. */
export async function putUnderLoad({ callers, seconds, call }: Load): Promise<LoadResult> {
  const timesMs: number[] = []
  const errors: unknown[] = []
  const startMs = performance.now()
  const endMs = startMs + seconds * 1000
  const work = async () => {
    while (performance.now() < endMs) {
      const sinceMs = performance.now()
      await call().catch((error: unknown) => errors.push(error))
      timesMs.push(performance.now() - sinceMs)
    }
  }
  await Promise.all(Array.from({ length: callers }, work))
  const tookSeconds = (performance.now() - startMs) / 1000
  return { callsPerSecond: timesMs.length / tookSeconds, timesMs, errors }
}

export type Ledger = { readonly store: AccountStore; readonly accounts: AccountService }

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export function openLedger(database: Database): Ledger {
  const store = openAccountStore(database)
  const accounts = openAccountService({
    store,
    clock: systemClock,
    hash: sha256,
    random: Math.random,
    pause: async (ms) => await pause(ms),
  })
  return { store, accounts }
}

/** Accounts that can hold for as long as the bench runs. */
export async function fundAccounts({ accounts }: Ledger, ids: readonly string[]): Promise<void> {
  const issue = { microCredits: 1e12, expiresMs: null }
  await Promise.all(
    ids.map((accountId) => accounts.issue({ ...issue, accountId, issueId: newId() })),
  )
}

export function newId(): string {
  return randomBytes(13).toString('hex')
}

/** A hold and its settlement on one of these accounts: two postings. Gives the time of the hold. */
export async function holdAndSettle(
  { accounts }: Ledger,
  ids: readonly string[],
  holdTimesMs?: number[],
): Promise<void> {
  const accountId = ids[Math.floor(Math.random() * ids.length)] ?? ''
  const jobId = newId()
  const sinceMs = performance.now()
  const held = await accounts.hold(accountId, jobId, 1_000_000)
  holdTimesMs?.push(performance.now() - sinceMs)
  const ended = await accounts.settle(accountId, jobId, 600_000)
  if (held.kind !== 'Held' || ended.kind !== 'Settled') throw new Error('not held and settled')
}

/** Differences between accounts and what their entries make of them, by the audit's own sums. */
export async function countDrift({ store }: Ledger): Promise<number> {
  let drift = 0
  let afterId = ''
  for (;;) {
    const page = await store.page(afterId, 100)
    for (const account of page) drift += await driftOf(store, account)
    const last = page.at(-1)
    if (last === undefined) return drift
    afterId = last._id
  }
}

async function driftOf(store: AccountStore, account: AccountDocument): Promise<number> {
  const fold = startFold(account._id)
  for (;;) {
    const entries = await store.entriesOf(account._id, fold.seq())
    if (entries.length === 0) return fold.compare(account).length + account.outbox.length
    for (const entry of entries) fold.take(entry)
  }
}
