import { assert } from '../assert.ts'
import { canonicalJson } from './canonical-json.ts'
import { type Account, assertSound, type Totals } from './account.ts'

/** One movement has two sides: from the debited account to the credited one. */
export type Posting = {
  readonly debit: string
  readonly credit: string
  readonly microCredits: number
}

export const endings = ['Settle', 'Void', 'Expire'] as const
/** What ends a hold: exactly one of them does. */
export type Ending = (typeof endings)[number]

/** Append-only. `_id` is `<jobId>:<phase>`, so one phase of one job happens once. */
export type Entry = {
  readonly _id: string
  readonly accountId: string
  /** Position in the account's chain, from 1. */
  readonly seq: number
  readonly kind: 'Issue' | 'Hold' | Ending | 'Lapse'
  /** Null for credits that belong to no job. */
  readonly jobId: string | null
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

export type EntryDraft = Pick<Entry, 'kind' | 'jobId' | 'postings'> & { readonly id: string }

export function entryId(jobId: string, kind: 'Hold' | Ending): string {
  return `${jobId}:${kind.toLowerCase()}`
}

/** The two sides inside one payer's account, and the system's sides. */
export const sides = {
  available: (accountId: string) => `${accountId}/available`,
  held: (accountId: string) => `${accountId}/held`,
  issued: 'system/issued',
  spent: 'system/spent',
  expired: 'system/expired',
} as const

/** Seals a changed account and its entry: next sequence number, next link of the chain. */
export function commit(account: Account, draft: EntryDraft, context: ChangeContext): Change {
  const { id, kind, jobId } = draft
  const postings = draft.postings.filter(({ microCredits }) => microCredits > 0)
  const unsealed = {
    _id: id,
    accountId: account._id,
    seq: account.seq + 1,
    kind,
    jobId,
    timeMs: context.nowMs,
    postings,
    previousHash: account.chain,
  }
  const entry = { ...unsealed, hash: entryHash(unsealed, context.hash) }
  return { account: assertSound({ ...account, seq: entry.seq, chain: entry.hash }), entry }
}

function entryHash(entry: Omit<Entry, 'hash'>, hash: Hash): string {
  return hash(canonicalJson(entry))
}

/** Adds to totals; a negative number takes away. */
export function addTotals(totals: Totals, change: Partial<Totals>): Totals {
  return {
    issued: totals.issued + (change.issued ?? 0),
    available: totals.available + (change.available ?? 0),
    held: totals.held + (change.held ?? 0),
    spent: totals.spent + (change.spent ?? 0),
    expired: totals.expired + (change.expired ?? 0),
  }
}

/** What a settlement charged; 0 for every other entry. */
export function chargedBy(entry: Entry): number {
  return entry.postings
    .filter(({ credit }) => credit === sides.spent)
    .reduce((total, { microCredits }) => total + microCredits, 0)
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
