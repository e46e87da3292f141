import { assert } from '../assert.ts'
import {
  type Account,
  type AccountHold,
  accountLimits,
  type HoldPart,
  isLapsed,
  type Lot,
  usableLots,
} from './account.ts'
import {
  addTotals,
  type Change,
  type ChangeContext,
  commit,
  type Ending,
  entryId,
  sides,
} from './account-entry.ts'

export type IssueRequest = {
  readonly issueId: string
  readonly microCredits: number
  readonly expiresMs: number | null
}

/** Adds a lot. The caller makes sure that the same issue id is not used twice. */
export function issueCredits(
  account: Account,
  issue: IssueRequest,
  context: ChangeContext,
): Change {
  const { issueId, microCredits, expiresMs } = issue
  assert(Number.isSafeInteger(microCredits) && microCredits > 0, 'an issue is a positive integer')
  assert(account.lots.length < accountLimits.lotsMax, 'an account has a bounded number of lots')
  const lots = [...account.lots, { id: issueId, microCredits, expiresMs }]
  const totals = addTotals(account.totals, { issued: microCredits, available: microCredits })
  const postings = [{ debit: sides.issued, credit: sides.available(account._id), microCredits }]
  const draft = { id: `issue:${issueId}`, kind: 'Issue' as const, jobId: null, postings }
  return commit({ ...account, lots, totals }, draft, context)
}

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

export type HoldDecision =
  | ({ readonly kind: 'Held' } & Change)
  | { readonly kind: 'AlreadyHeld'; readonly hold: AccountHold }
  | {
      readonly kind: 'Insufficient'
      readonly missingMicroCredits: number
      readonly availableMicroCredits: number
    }
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
  const lots = usableLots(account, context.nowMs)
  const available = lots.reduce((total, lot) => total + lot.microCredits, 0)
  if (available < microCredits) {
    const missingMicroCredits = microCredits - available
    return { kind: 'Insufficient', missingMicroCredits, availableMicroCredits: available }
  }
  if (account.holds.length >= accountLimits.openHoldsMax) return { kind: 'HoldLimit' }
  const parts = reserve(lots, microCredits)
  const hold = { jobId, microCredits, parts, createTimeMs: context.nowMs }
  const changed = {
    ...account,
    lots: account.lots.map((lot) => withoutParts(lot, parts)),
    holds: [...account.holds, hold],
    totals: addTotals(account.totals, { available: -microCredits, held: microCredits }),
  }
  const [debit, credit] = [sides.available(account._id), sides.held(account._id)]
  const postings = [{ debit, credit, microCredits }]
  const draft = { id: entryId(jobId, 'Hold'), kind: 'Hold' as const, jobId, postings }
  return { kind: 'Held', ...commit(changed, draft, context) }
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
  const spent = Math.min(microCredits, hold.microCredits)
  const refunds = refundsOf(hold.parts, spent)
  const { lots, returned } = giveBack(account, refunds, context.nowMs)
  const expired = hold.microCredits - spent - returned
  const holds = account.holds.filter((candidate) => candidate !== hold)
  const totals = addTotals(account.totals, {
    held: -hold.microCredits,
    available: returned,
    spent,
    expired,
  })
  const debit = sides.held(account._id)
  const postings = [
    { debit, credit: sides.spent, microCredits: spent },
    { debit, credit: sides.available(account._id), microCredits: returned },
    { debit, credit: sides.expired, microCredits: expired },
  ]
  const changed = { ...account, lots: withoutEmpty(lots, holds), holds, totals }
  const draft = { id: entryId(jobId, ending), kind: ending, jobId, postings }
  return { kind: 'Ended', chargedMicroCredits: spent, ...commit(changed, draft, context) }
}

/** Takes the unheld rest of the first lapsed lot away; null when nothing has lapsed. */
export function lapseCredits(account: Account, context: ChangeContext): Change | null {
  const lapsed = account.lots.find((lot) => lot.microCredits > 0 && isLapsed(lot, context.nowMs))
  if (lapsed === undefined) return null
  const { microCredits } = lapsed
  const lots = account.lots.map((lot) => (lot === lapsed ? { ...lot, microCredits: 0 } : lot))
  const totals = addTotals(account.totals, { available: -microCredits, expired: microCredits })
  const postings = [{ debit: sides.available(account._id), credit: sides.expired, microCredits }]
  const id = `lapse:${account._id}:${account.seq + 1}`
  const changed = { ...account, lots: withoutEmpty(lots, account.holds), totals }
  return commit(changed, { id, kind: 'Lapse', jobId: null, postings }, context)
}

function reserve(lots: readonly Lot[], microCredits: number): readonly HoldPart[] {
  let left = microCredits
  const parts: HoldPart[] = []
  for (const lot of lots) {
    if (left === 0) break
    const taken = Math.min(left, lot.microCredits)
    parts.push({ lotId: lot.id, microCredits: taken })
    left -= taken
  }
  assert(left === 0, 'the lots cover the hold')
  return parts
}

function withoutParts(lot: Lot, parts: readonly HoldPart[]): Lot {
  const part = parts.find(({ lotId }) => lotId === lot.id)
  return part === undefined ? lot : { ...lot, microCredits: lot.microCredits - part.microCredits }
}

/** The charge comes out of the parts in their order; what is left of each goes back. */
function refundsOf(parts: readonly HoldPart[], spent: number): readonly HoldPart[] {
  let left = spent
  return parts.map(({ lotId, microCredits }) => {
    const charged = Math.min(left, microCredits)
    left -= charged
    return { lotId, microCredits: microCredits - charged }
  })
}

function giveBack(account: Account, refunds: readonly HoldPart[], nowMs: number) {
  let returned = 0
  const lots = account.lots.map((lot) => {
    const refund = refunds.find(({ lotId }) => lotId === lot.id)
    if (refund === undefined || isLapsed(lot, nowMs)) return lot
    returned += refund.microCredits
    return { ...lot, microCredits: lot.microCredits + refund.microCredits }
  })
  return { lots, returned }
}

/** A lot goes when it is empty and no hold could give something back to it. */
function withoutEmpty(lots: readonly Lot[], holds: readonly AccountHold[]): readonly Lot[] {
  const reserved = new Set(holds.flatMap(({ parts }) => parts.map(({ lotId }) => lotId)))
  return lots.filter((lot) => lot.microCredits > 0 || reserved.has(lot.id))
}
