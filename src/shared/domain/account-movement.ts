import { assert } from '../assert.ts'
import {
  type Account,
  accountLimits,
  addTotals,
  type Lot,
  sumOf,
  takeFrom,
  usableLots,
  withoutPieces,
  withPieces,
} from './account.ts'
import { type Shortfall, shortfallOf } from './account-change.ts'
import {
  type Change,
  type ChangeContext,
  commit,
  creditedTo,
  type Entry,
  type EntryNote,
  pieceOf,
  type Posting,
  postingsOf,
  sides,
} from './account-entry.ts'

/** Credits that come and go without a job: from and to the system, and between accounts. */

export type IssueRequest = {
  readonly issueId: string
  readonly microCredits: number
  readonly expiresMs: number | null
  readonly note?: EntryNote | undefined
}

export function issueEntryId(issueId: string): string {
  return `${issueId}:issue`
}

/**
 * Adds a lot; null when the account has as many as it may. The caller makes sure that the same
 * issue id is not used twice.
 */
export function issueCredits(
  account: Account,
  { issueId, microCredits, expiresMs, note }: IssueRequest,
  context: ChangeContext,
): Change | null {
  assert(Number.isSafeInteger(microCredits) && microCredits > 0, 'an issue is a positive integer')
  if (account.lots.length >= accountLimits.lotsMax) return null
  const lot = { id: issueId, microCredits, expiresMs }
  const changed = withCredits(account, [lot], { issued: microCredits })
  const [debit, credit] = [sides.issued, sides.available(account._id)]
  const postings = postingsOf([lot], { debit, credit })
  return commit(changed, { id: issueEntryId(issueId), kind: 'Issue', note, postings }, context)
}

/** Where credits go to: another account, or back to the system when there is none. */
export type Recipient = { readonly accountId: string | null; readonly microCredits: number }

export type TransferRequest = {
  readonly transferId: string
  readonly kind: 'Distribute' | 'Revoke'
  /** Different ones. Nothing moves unless all amounts are covered. */
  readonly recipients: readonly Recipient[]
  readonly note?: EntryNote | undefined
}

export type TransferDecision = ({ readonly kind: 'Moved' } & Change) | Shortfall

export function transferEntryId({
  transferId,
  kind,
}: Pick<TransferRequest, 'transferId' | 'kind'>): string {
  return `${transferId}:${kind.toLowerCase()}`
}

/**
 * Takes free credits away, those first that lapse first, and sends them to where they arrive by
 * `receiveCredits`. Until then they are on the recipient's side `incoming`.
 */
export function sendCredits(
  account: Account,
  { transferId, kind, recipients, note }: TransferRequest,
  context: ChangeContext,
): TransferDecision {
  assert(
    recipients.every((one) => Number.isSafeInteger(one.microCredits) && one.microCredits > 0),
    'what is moved is a positive integer',
  )
  const names = new Set(recipients.map(({ accountId }) => accountId))
  assert(names.size === recipients.length && names.size > 0, 'the recipients are different ones')
  assert(names.size <= accountLimits.recipientsMax, 'a transfer has a bounded number of recipients')
  const usable = usableLots(account, context.nowMs)
  const amount = sumOf(recipients)
  const short = shortfallOf(usable, amount)
  if (short !== null) return short
  let left = usable
  const debit = sides.available(account._id)
  const postings: Posting[] = []
  for (const { accountId, microCredits } of recipients) {
    const pieces = takeFrom(left, microCredits)
    left = withoutPieces(left, pieces)
    const credit = accountId === null ? sides.issued : sides.incoming(accountId)
    postings.push(...postingsOf(pieces, { debit, credit }))
  }
  const revoked = sumOf(recipients.filter(({ accountId }) => accountId === null))
  const changed = {
    ...account,
    // Several recipients may have pieces of one lot.
    lots: withoutPieces(account.lots, withPieces([], postings.map(pieceOf))),
    totals: addTotals(account.totals, { available: -amount, sent: amount - revoked, revoked }),
  }
  const draft = { id: transferEntryId({ transferId, kind }), kind, note, postings }
  return { kind: 'Moved', ...commit(changed, draft, context) }
}

/** The accounts to which an entry sent credits, each once. */
export function recipientsOf({ postings }: Pick<Entry, 'postings'>): readonly string[] {
  const suffix = sides.incoming('')
  const found = postings.filter(({ credit }) => credit.endsWith(suffix))
  return [...new Set(found.map(({ credit }) => credit.slice(0, -suffix.length)))]
}

export function receiptEntryId(sent: Pick<Entry, '_id'>, accountId: string): string {
  return `${sent._id}:${accountId}:receive`
}

/** Takes in what another account's entry sent here. The caller makes sure that it is done once. */
export function receiveCredits(account: Account, sent: Entry, context: ChangeContext): Change {
  const debit = sides.incoming(account._id)
  const pieces = sent.postings.filter(({ credit }) => credit === debit).map(pieceOf)
  assert(pieces.length > 0, 'the entry sent something to this account')
  const changed = withCredits(account, pieces, { received: sumOf(pieces) })
  const postings = postingsOf(pieces, { debit, credit: sides.available(account._id) })
  const id = receiptEntryId(sent, account._id)
  return commit(changed, { id, kind: 'Receive', note: sent.note ?? undefined, postings }, context)
}

export type AdjustRequest = {
  /** What is made good: an entry of this account. */
  readonly entry: Entry
  /** At most what the entry took. */
  readonly microCredits: number
  readonly expiresMs: number | null
  readonly note: EntryNote
}

/** One entry is adjusted once, so that nobody can be given more than was taken. */
export function adjustEntryId({ _id }: Pick<Entry, '_id'>): string {
  return `${_id}:adjust`
}

/** What an entry charged or let lapse: that much can be given back. */
export function takenBy(entry: Entry): { readonly spent: number; readonly expired: number } {
  return { spent: creditedTo(entry, sides.revenue), expired: creditedTo(entry, sides.expired) }
}

/** Gives back what an entry took, as a new lot: what is written is never edited. */
export function adjustCredits(
  account: Account,
  { entry, microCredits, expiresMs, note }: AdjustRequest,
  context: ChangeContext,
): Change {
  const taken = takenBy(entry)
  assert(entry.accountId === account._id, 'an adjustment stays on the account')
  assert(Number.isSafeInteger(microCredits) && microCredits > 0, 'an adjustment gives something')
  assert(microCredits <= taken.spent + taken.expired, 'no more comes back than was taken')
  const id = adjustEntryId(entry)
  const spent = Math.min(microCredits, taken.spent)
  const expired = microCredits - spent
  const lot = { id, microCredits, expiresMs }
  const changed = withCredits(account, [lot], { spent: -spent, expired: -expired })
  const credit = sides.available(account._id)
  const postings = [
    ...postingsOf([{ ...lot, microCredits: spent }], { debit: sides.revenue, credit }),
    ...postingsOf([{ ...lot, microCredits: expired }], { debit: sides.expired, credit }),
  ]
  const jobId = entry.jobId === null ? {} : { jobId: entry.jobId }
  return commit(changed, { id, kind: 'Adjust', note, postings, ...jobId }, context)
}

function withCredits(
  account: Account,
  pieces: readonly Lot[],
  totals: Partial<Account['totals']>,
): Account {
  const available = sumOf(pieces)
  return {
    ...account,
    lots: withPieces(account.lots, pieces),
    totals: addTotals(account.totals, { ...totals, available }),
  }
}
