import { assert } from '../assert.ts'

/** Credits that were issued together and lapse together. `microCredits` is what no hold reserves. */
export type Lot = {
  readonly id: string
  readonly microCredits: number
  readonly expiresMs: number | null
}

/** A part of a hold: how much of which lot it reserves. */
export type HoldPart = { readonly lotId: string; readonly microCredits: number }

/** Credits reserved for one job until it is settled, voided or expired. */
export type AccountHold = {
  readonly jobId: string
  readonly microCredits: number
  readonly parts: readonly HoldPart[]
  readonly createTimeMs: number
}

/** Always `issued = available + held + spent + expired`. */
export type Totals = {
  readonly issued: number
  readonly available: number
  readonly held: number
  readonly spent: number
  readonly expired: number
}

/** One payer. Every change is a pure function of it and one compare-and-set on `seq`. */
export type Account = {
  readonly _id: string
  /** Number of entries so far: the compare-and-set guard. */
  readonly seq: number
  /** Hash of the newest entry; empty before the first. */
  readonly chain: string
  readonly lots: readonly Lot[]
  readonly holds: readonly AccountHold[]
  readonly totals: Totals
}

export const accountLimits = {
  openHoldsMax: 1000,
  lotsMax: 1000,
  /** Clocks of replicas may differ by this much: a lot lapses only after it. */
  toleranceMs: 60_000,
} as const

export function emptyAccount(accountId: string): Account {
  const totals = { issued: 0, available: 0, held: 0, spent: 0, expired: 0 }
  return { _id: accountId, seq: 0, chain: '', lots: [], holds: [], totals }
}

/** Lots a new hold may reserve, in the order in which it must: oldest expiry first. */
export function usableLots(account: Account, nowMs: number): readonly Lot[] {
  return account.lots
    .filter((lot) => lot.microCredits > 0 && (lot.expiresMs ?? Infinity) > nowMs)
    .toSorted((a, b) => (a.expiresMs ?? Infinity) - (b.expiresMs ?? Infinity) || order(a.id, b.id))
}

export function isLapsed(lot: Lot, nowMs: number): boolean {
  return lot.expiresMs !== null && nowMs >= lot.expiresMs + accountLimits.toleranceMs
}

/** What is wrong inside one document; empty when it is sound. */
export function accountFaults(account: Account): readonly string[] {
  const { totals } = account
  const parts = account.holds.flatMap((hold) => hold.parts)
  const facts: readonly (readonly [boolean, string])[] = [
    [Object.values(totals).every(isAmount), 'a total is negative or not a safe integer'],
    [account.lots.every((lot) => isAmount(lot.microCredits)), 'a lot is negative'],
    [parts.every((part) => isAmount(part.microCredits)), 'a hold is negative'],
    [totals.available === sum(account.lots), 'available differs from the lots'],
    [totals.held === sum(account.holds), 'held differs from the holds'],
    [totals.held === sum(parts), 'held differs from the parts of the holds'],
    [
      totals.issued === totals.available + totals.held + totals.spent + totals.expired,
      'issued differs from available, held, spent and expired',
    ],
    [unique(account.holds.map(({ jobId }) => jobId)), 'a job has two holds'],
    [unique(account.lots.map(({ id }) => id)), 'a lot is there twice'],
    [account.holds.length <= accountLimits.openHoldsMax, 'too many open holds'],
  ]
  return facts.filter(([fact]) => !fact).map(([, fault]) => fault)
}

/** Checked before each write and after each read: credits are the last place to guess. */
export function assertSound(account: Account): Account {
  const faults = accountFaults(account)
  assert(faults.length === 0, `account ${account._id}: ${faults.join('; ')}`)
  return account
}

function isAmount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function sum(items: readonly { readonly microCredits: number }[]): number {
  return items.reduce((total, { microCredits }) => total + microCredits, 0)
}

function unique(values: readonly string[]): boolean {
  return new Set(values).size === values.length
}

function order(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
