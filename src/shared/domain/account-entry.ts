import { assert } from '../assert.ts'
import type { Account, Lot } from './account.ts'
import { canonicalJson } from './canonical-json.ts'

/** One movement has two sides, from the debited to the credited, and is of one lot. */
export type Posting = {
  readonly debit: string
  readonly credit: string
  readonly microCredits: number
  readonly lotId: string
  /** When the lot lapses; null is never. */
  readonly expiresMs: number | null
}

export const endings = ['Settle', 'Void', 'Expire'] as const
/** What ends a hold: exactly one of them does. */
export type Ending = (typeof endings)[number]

/** What the entries of one job can be. */
const jobPhases = ['Hold', ...endings] as const
type JobPhase = (typeof jobPhases)[number]

export const entryKinds = [
  ...jobPhases,
  'Issue',
  'Distribute',
  'Receive',
  'Revoke',
  'Lapse',
  'Adjust',
] as const
export type EntryKind = (typeof entryKinds)[number]

/** Who moved credits, and why; the ledger's own movements have none. */
export type EntryNote = {
  /** Id of a person, or the name of a task of the platform. */
  readonly by: string
  readonly reason: string
}

/** Append-only. `_id` is `<id of a job or movement>:<phase>`, so one phase of it happens once. */
export type Entry = {
  readonly _id: string
  readonly accountId: string
  /** Position in the account's chain, from 1. */
  readonly seq: number
  readonly kind: EntryKind
  /** Null for credits that belong to no job. */
  readonly jobId: string | null
  readonly note: EntryNote | null
  readonly timeMs: number
  readonly postings: readonly Posting[]
  readonly previousHash: string
  /** SHA-256 of everything above in canonical JSON. */
  readonly hash: string
}

/** SHA-256 of a text in hex; passed in because shared code has no node modules. */
export type Hash = (text: string) => string

export type ChangeContext = { readonly nowMs: number; readonly hash: Hash }

export type Change = { readonly account: Account; readonly entry: Entry }

export type EntryDraft = Pick<Entry, 'kind' | 'postings'> & {
  readonly id: string
  readonly jobId?: string
  readonly note?: EntryNote | undefined
}

export function entryId(jobId: string, phase: JobPhase): string {
  return `${jobId}:${phase.toLowerCase()}`
}

/** The sides inside one payer's account, and the system's accounts. */
export const sides = {
  available: (accountId: string) => `${accountId}/available`,
  held: (accountId: string) => `${accountId}/held`,
  /** On the way to this account: empty when nothing is. */
  incoming: (accountId: string) => `${accountId}/incoming`,
  issued: 'system/issued',
  revenue: 'system/revenue',
  expired: 'system/expired',
} as const

/** Moves pieces of lots from one side to another. */
export function postingsOf(
  pieces: readonly Lot[],
  { debit, credit }: Pick<Posting, 'debit' | 'credit'>,
): readonly Posting[] {
  return pieces
    .filter(({ microCredits }) => microCredits > 0)
    .map(({ id: lotId, microCredits, expiresMs }) => {
      return { debit, credit, microCredits, lotId, expiresMs }
    })
}

export function pieceOf({ lotId: id, microCredits, expiresMs }: Posting): Lot {
  return { id, microCredits, expiresMs }
}

/** Seals a changed account and its entry: next sequence number, next link of the chain. */
export function commit(account: Account, draft: EntryDraft, context: ChangeContext): Change {
  const { id, kind, jobId = null, note = null, postings } = draft
  const unsealed = {
    _id: id,
    accountId: account._id,
    seq: account.seq + 1,
    kind,
    jobId,
    note,
    timeMs: context.nowMs,
    postings,
    previousHash: account.chain,
  }
  const entry = { ...unsealed, hash: entryHash(unsealed, context.hash) }
  return { account: { ...account, seq: entry.seq, chain: entry.hash }, entry }
}

export function entryHash(entry: Omit<Entry, 'hash'>, hash: Hash): string {
  return hash(canonicalJson(entry))
}

/** What an entry brought to a side. */
export function creditedTo({ postings }: Pick<Entry, 'postings'>, side: string): number {
  return postings
    .filter(({ credit }) => credit === side)
    .reduce((total, { microCredits }) => total + microCredits, 0)
}

/** What a settlement charged; 0 for every other entry. */
export function chargedBy(entry: Entry): number {
  return creditedTo(entry, sides.revenue)
}

/** Whether entries in order of `seq` form one unbroken chain from the first on. */
export function isChain(entries: readonly Entry[], hash: Hash): boolean {
  let previous = ''
  for (const [index, { hash: own, ...rest }] of entries.entries()) {
    const fits = rest.seq === index + 1 && rest.previousHash === previous
    if (!fits || entryHash(rest, hash) !== own) return false
    previous = own
  }
  assert(entries.length === 0 || previous !== '', 'a sealed entry has a hash')
  return true
}
