import { assert } from '../assert.ts'

/**
 * Credits that were issued together and lapse together. A piece of a lot has its id and expiry:
 * what is free on an account, what a hold reserves and what is on its way to another account.
 */
export type Lot = {
  readonly id: string
  readonly microCredits: number
  /** Null: they never lapse. */
  readonly expiresMs: number | null
}

/** Credits reserved for one job until it is settled, voided or expired. */
export type AccountHold = {
  readonly jobId: string
  readonly microCredits: number
  /** Pieces of lots, in the order in which they are charged. */
  readonly parts: readonly Lot[]
  readonly createTimeMs: number
}

/**
 * What came in is what is there and what went out:
 * `issued + received = available + held + spent + expired + sent + revoked`.
 */
export type Totals = {
  readonly issued: number
  /** From other accounts. */
  readonly received: number
  readonly available: number
  readonly held: number
  /** Charged for jobs, less what was given back by adjustments. */
  readonly spent: number
  readonly expired: number
  /** To other accounts, what is still on its way included. */
  readonly sent: number
  /** Back to the system. */
  readonly revoked: number
}

/** One payer. Every change is a pure function of it and one compare-and-set on `seq`. */
export type Account = {
  readonly _id: string
  /** Number of entries so far: the compare-and-set guard. */
  readonly seq: number
  /** Hash of the newest entry; empty before the first. */
  readonly chain: string
  /** What no hold reserves; a lot that is used up is not here. */
  readonly lots: readonly Lot[]
  readonly holds: readonly AccountHold[]
  readonly totals: Totals
}

export const accountLimits = {
  openHoldsMax: 1000,
  /** New lots of one account; a department's reach its members beyond this. */
  lotsMax: 500,
  /** Accounts that one distribution may reach. */
  recipientsMax: 100,
  /** Clocks of replicas may differ by this much: a lot lapses only after it. */
  toleranceMs: 60_000,
} as const

const emptyTotals: Totals = {
  issued: 0,
  received: 0,
  available: 0,
  held: 0,
  spent: 0,
  expired: 0,
  sent: 0,
  revoked: 0,
}

export function emptyAccount(accountId: string): Account {
  return { _id: accountId, seq: 0, chain: '', lots: [], holds: [], totals: emptyTotals }
}

/** Adds to totals; a negative number takes away. */
export function addTotals(totals: Totals, change: Partial<Totals>): Totals {
  return {
    issued: totals.issued + (change.issued ?? 0),
    received: totals.received + (change.received ?? 0),
    available: totals.available + (change.available ?? 0),
    held: totals.held + (change.held ?? 0),
    spent: totals.spent + (change.spent ?? 0),
    expired: totals.expired + (change.expired ?? 0),
    sent: totals.sent + (change.sent ?? 0),
    revoked: totals.revoked + (change.revoked ?? 0),
  }
}

/** Lots that may be reserved or moved, in the order in which they must: oldest expiry first. */
export function usableLots(account: Account, nowMs: number): readonly Lot[] {
  return account.lots
    .filter((lot) => (lot.expiresMs ?? Infinity) > nowMs)
    .toSorted((a, b) => (a.expiresMs ?? Infinity) - (b.expiresMs ?? Infinity) || order(a.id, b.id))
}

export function isLapsed(lot: Lot, nowMs: number): boolean {
  return lot.expiresMs !== null && nowMs >= lot.expiresMs + accountLimits.toleranceMs
}

/** The first pieces of these lots, in their order, that make up an amount. They must cover it. */
export function takeFrom(lots: readonly Lot[], microCredits: number): readonly Lot[] {
  let left = microCredits
  const pieces: Lot[] = []
  for (const lot of lots) {
    if (left === 0) break
    const taken = Math.min(left, lot.microCredits)
    pieces.push({ ...lot, microCredits: taken })
    left -= taken
  }
  assert(left === 0, 'the lots cover the amount')
  return pieces
}

export function withoutPieces(lots: readonly Lot[], pieces: readonly Lot[]): readonly Lot[] {
  const taken = new Map(pieces.map((piece) => [piece.id, piece.microCredits]))
  return lots
    .map((lot) => ({ ...lot, microCredits: lot.microCredits - (taken.get(lot.id) ?? 0) }))
    .filter(({ microCredits }) => microCredits !== 0)
}

/** A piece joins the rest of its lot, or is the lot again. */
export function withPieces(lots: readonly Lot[], pieces: readonly Lot[]): readonly Lot[] {
  const joined = new Map(lots.map((lot) => [lot.id, lot]))
  for (const piece of pieces) {
    if (piece.microCredits === 0) continue
    const { microCredits = 0 } = joined.get(piece.id) ?? {}
    joined.set(piece.id, { ...piece, microCredits: microCredits + piece.microCredits })
  }
  return [...joined.values()]
}

export function sumOf(items: readonly { readonly microCredits: number }[]): number {
  return items.reduce((total, { microCredits }) => total + microCredits, 0)
}

/** What is wrong inside one document; empty when it is sound. */
export function accountFaults(account: Account): readonly string[] {
  const { totals } = account
  const parts = account.holds.flatMap((hold) => hold.parts)
  const came = totals.issued + totals.received
  const went = totals.spent + totals.expired + totals.sent + totals.revoked
  const facts: readonly (readonly [boolean, string])[] = [
    [Object.values(totals).every(isAmount), 'a total is negative or not a safe integer'],
    [account.lots.every((lot) => isAmount(lot.microCredits)), 'a lot is negative'],
    [parts.every((part) => isAmount(part.microCredits)), 'a hold is negative'],
    [totals.available === sumOf(account.lots), 'available differs from the lots'],
    [totals.held === sumOf(account.holds), 'held differs from the holds'],
    [totals.held === sumOf(parts), 'held differs from the parts of the holds'],
    [came === totals.available + totals.held + went, 'what came in differs from what is there'],
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

function unique(values: readonly string[]): boolean {
  return new Set(values).size === values.length
}

function order(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
