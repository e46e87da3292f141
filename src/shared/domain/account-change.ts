import { assert } from '../assert.ts'
import {
  type Account,
  type AccountHold,
  accountLimits,
  addTotals,
  isLapsed,
  type Lot,
  sumOf,
  takeFrom,
  usableLots,
  withoutPieces,
  withPieces,
} from './account.ts'
import {
  type Change,
  type ChangeContext,
  commit,
  type Ending,
  entryId,
  postingsOf,
  sides,
} from './account-entry.ts'

export type HoldRequest = {
  readonly jobId: string
  readonly microCredits: number
  /** Absent for who has no membership, such as a department. */
  readonly cap?: HoldCap | undefined
}

/** How many open jobs their owner may have. Each open job has one hold, so holds are counted. */
export type HoldCap = {
  readonly jobsMax: number
  /** `Waiting` leaves out the jobs that run. */
  readonly counts: 'All' | 'Waiting'
  /** Known to run; one whose hold has ended meanwhile does not count. */
  readonly runningJobIds: ReadonlySet<string>
}

export type Shortfall = {
  readonly kind: 'Insufficient'
  readonly missingMicroCredits: number
  readonly availableMicroCredits: number
}

export type HoldDecision =
  | ({ readonly kind: 'Held' } & Change)
  | { readonly kind: 'AlreadyHeld'; readonly hold: AccountHold }
  | Shortfall
  | { readonly kind: 'HoldLimit' }
  | { readonly kind: 'OverCap'; readonly running: number; readonly waiting: number }

/** Reserves a job's price from the lots that lapse first. A job has at most one hold. */
export function holdCredits(
  account: Account,
  { jobId, microCredits, cap }: HoldRequest,
  context: ChangeContext,
): HoldDecision {
  assert(Number.isSafeInteger(microCredits) && microCredits >= 0, 'a price is an integer')
  const existing = account.holds.find((hold) => hold.jobId === jobId)
  if (existing !== undefined) return { kind: 'AlreadyHeld', hold: existing }
  const over = cap === undefined ? null : overCap(account, cap)
  if (over !== null) return over
  const usable = usableLots(account, context.nowMs)
  const short = shortfallOf(usable, microCredits)
  if (short !== null) return short
  if (account.holds.length >= accountLimits.openHoldsMax) return { kind: 'HoldLimit' }
  const parts = takeFrom(usable, microCredits)
  const changed = {
    ...account,
    lots: withoutPieces(account.lots, parts),
    holds: [...account.holds, { jobId, microCredits, parts, createTimeMs: context.nowMs }],
    totals: addTotals(account.totals, { available: -microCredits, held: microCredits }),
  }
  const [debit, credit] = [sides.available(account._id), sides.held(account._id)]
  const postings = postingsOf(parts, { debit, credit })
  const draft = { id: entryId(jobId, 'Hold'), kind: 'Hold' as const, jobId, postings }
  return { kind: 'Held', ...commit(changed, draft, context) }
}

/** Null when these lots cover the amount. */
export function shortfallOf(usable: readonly Lot[], microCredits: number): Shortfall | null {
  const availableMicroCredits = sumOf(usable)
  if (availableMicroCredits >= microCredits) return null
  const missingMicroCredits = microCredits - availableMicroCredits
  return { kind: 'Insufficient', missingMicroCredits, availableMicroCredits }
}

/** Null while one more job fits. */
function overCap({ holds }: Account, { jobsMax, counts, runningJobIds }: HoldCap) {
  const running = holds.filter(({ jobId }) => runningJobIds.has(jobId)).length
  const waiting = holds.length - running
  const counted = counts === 'All' ? holds.length : waiting
  return counted < jobsMax ? null : ({ kind: 'OverCap', running, waiting } as const)
}

export type EndRequest = {
  readonly jobId: string
  readonly ending: Ending
  /** What to charge; cut to what is held. Only a settlement charges. */
  readonly microCredits: number
}

export type EndDecision =
  | ({ readonly kind: 'Ended'; readonly chargedMicroCredits: number } & Change)
  | { readonly kind: 'NoHold' }

/** Ends a hold once: charges a part, gives the rest back to its lots, or to none that lapsed. */
export function endHold(
  account: Account,
  { jobId, ending, microCredits }: EndRequest,
  context: ChangeContext,
): EndDecision {
  assert(Number.isSafeInteger(microCredits) && microCredits >= 0, 'a charge is an integer')
  assert(ending === 'Settle' || microCredits === 0, 'only a settlement charges')
  const hold = account.holds.find((candidate) => candidate.jobId === jobId)
  if (hold === undefined) return { kind: 'NoHold' }
  const charged = takeFrom(hold.parts, Math.min(microCredits, hold.microCredits))
  const rest = withoutPieces(hold.parts, charged)
  const lapsed = rest.filter((piece) => isLapsed(piece, context.nowMs))
  const returned = rest.filter((piece) => !isLapsed(piece, context.nowMs))
  const [spent, expired] = [sumOf(charged), sumOf(lapsed)]
  const changed = {
    ...account,
    lots: withPieces(account.lots, returned),
    holds: account.holds.filter((candidate) => candidate !== hold),
    totals: addTotals(account.totals, {
      held: -hold.microCredits,
      available: sumOf(returned),
      spent,
      expired,
    }),
  }
  const debit = sides.held(account._id)
  const postings = [
    ...postingsOf(charged, { debit, credit: sides.revenue }),
    ...postingsOf(returned, { debit, credit: sides.available(account._id) }),
    ...postingsOf(lapsed, { debit, credit: sides.expired }),
  ]
  const draft = { id: entryId(jobId, ending), kind: ending, jobId, postings }
  return { kind: 'Ended', chargedMicroCredits: spent, ...commit(changed, draft, context) }
}

/** Takes what is free of all lapsed lots away; null when nothing has lapsed. */
export function lapseCredits(account: Account, context: ChangeContext): Change | null {
  const lapsed = account.lots.filter((lot) => isLapsed(lot, context.nowMs))
  if (lapsed.length === 0) return null
  const microCredits = sumOf(lapsed)
  const changed = {
    ...account,
    lots: withoutPieces(account.lots, lapsed),
    totals: addTotals(account.totals, { available: -microCredits, expired: microCredits }),
  }
  const debit = sides.available(account._id)
  const postings = postingsOf(lapsed, { debit, credit: sides.expired })
  const id = `${account._id}:${account.seq + 1}:lapse`
  return commit(changed, { id, kind: 'Lapse', postings }, context)
}
