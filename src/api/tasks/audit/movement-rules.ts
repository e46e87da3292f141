import type { Entry, EntryKind, Posting } from '../../../shared/domain/account-entry.ts'
import type { Difference } from '../../../shared/domain/audit-differences.ts'
import type { Folded, FoldedLots } from './folded.ts'

/** Which movements an entry may have, written a second time (see `fold.ts`). */
type Side = 'Available' | 'Held' | 'Arriving' | 'Elsewhere' | 'Issued' | 'Revenue' | 'Expired'

type Effect = { readonly total: keyof Folded['totals']; readonly sign: 1 | -1 }

export type Movement = {
  readonly posting: Posting
  readonly from: Side
  readonly to: Side
  readonly takes: Effect
  readonly brings: Effect
}

const movesOf: Readonly<Record<EntryKind, readonly string[]>> = {
  Issue: ['Issued>Available'],
  Distribute: ['Available>Elsewhere', 'Available>Arriving'],
  Revoke: ['Available>Elsewhere', 'Available>Arriving', 'Available>Issued'],
  Receive: ['Arriving>Available'],
  Hold: ['Available>Held'],
  Settle: ['Held>Revenue', 'Held>Available', 'Held>Expired'],
  Void: ['Held>Available', 'Held>Expired'],
  Expire: ['Held>Available', 'Held>Expired'],
  Lapse: ['Available>Expired'],
  Adjust: ['Revenue>Available', 'Expired>Available'],
}

const taking: Readonly<Record<Side, Effect>> = {
  Available: { total: 'available', sign: -1 },
  Held: { total: 'held', sign: -1 },
  Arriving: { total: 'received', sign: 1 },
  Elsewhere: { total: 'received', sign: 1 },
  Issued: { total: 'issued', sign: 1 },
  Revenue: { total: 'spent', sign: -1 },
  Expired: { total: 'expired', sign: -1 },
}

const bringing: Readonly<Record<Side, Effect>> = {
  Available: { total: 'available', sign: 1 },
  Held: { total: 'held', sign: 1 },
  Arriving: { total: 'sent', sign: 1 },
  Elsewhere: { total: 'sent', sign: 1 },
  Issued: { total: 'revoked', sign: 1 },
  Revenue: { total: 'spent', sign: 1 },
  Expired: { total: 'expired', sign: 1 },
}

/** Those between sides that exist; `entryFault` has seen before that these are all. */
export function movementsOf(accountId: string, { postings }: Entry): readonly Movement[] {
  return postings.flatMap((posting) => {
    const from = sideOf(accountId, posting.debit)
    const to = sideOf(accountId, posting.credit)
    if (from === null || to === null) return []
    return [{ posting, from, to, takes: taking[from], brings: bringing[to] }]
  })
}

const systemSides = new Map<string, Side>([
  ['system/issued', 'Issued'],
  ['system/revenue', 'Revenue'],
  ['system/expired', 'Expired'],
])

function sideOf(accountId: string, side: string): Side | null {
  if (side === `${accountId}/available`) return 'Available'
  if (side === `${accountId}/held`) return 'Held'
  if (side === `${accountId}/incoming`) return 'Arriving'
  return systemSides.get(side) ?? (side.endsWith('/incoming') ? 'Elsewhere' : null)
}

/** Why this entry cannot come next on this account; null when it can. */
export function entryFault(folded: Folded, entry: Entry): Difference | null {
  const double = endingFault(folded, entry)
  if (double !== null) return double
  const message = nameFault(entry) ?? sidesFault(folded, entry) ?? amountFault(folded, entry)
  return message === null ? null : { kind: 'EntryInvalid', id: entry._id, message }
}

function sidesFault({ accountId }: Folded, entry: Entry): string | null {
  const movements = movementsOf(accountId, entry)
  if (movements.length < entry.postings.length) return 'it names a side that there is not'
  const faults = movements.map((movement) => movementFault(entry, movement))
  return faults.find((fault) => fault !== null) ?? null
}

function isEnding({ kind }: Entry): boolean {
  return kind === 'Settle' || kind === 'Void' || kind === 'Expire'
}

/** An open hold is ended once; what ended before is not open. */
function endingFault({ holds }: Folded, entry: Entry): Difference | null {
  if (!isEnding(entry) || entry.jobId === null || holds.has(entry.jobId)) return null
  const message = `${entry._id} ends a hold that is not open`
  return { kind: 'DoubleEnding', id: entry.jobId, message }
}

/** Ids are unique, so a right one is what makes a phase of a job happen once. */
function nameFault({ _id, jobId, kind }: Entry): string | null {
  const suffix = `:${kind.toLowerCase()}`
  const isOfJob = kind === 'Hold' || kind === 'Settle' || kind === 'Void' || kind === 'Expire'
  if (isOfJob) return _id === `${jobId}${suffix}` ? null : 'it is named after another job or phase'
  // Only what gives back a job's credits belongs to a job as well.
  const mayName = jobId === null || (kind === 'Adjust' && _id.startsWith(`${jobId}:`))
  if (!mayName) return 'it names a job that it does not belong to'
  return _id.endsWith(suffix) ? null : 'its id is of another kind of entry'
}

function movementFault(entry: Entry, { posting, from, to }: Movement): string | null {
  const { microCredits, expiresMs } = posting
  if (!Number.isSafeInteger(microCredits) || microCredits <= 0) return 'an amount is not positive'
  if (!movesOf[entry.kind].includes(`${from}>${to}`)) return `it moves from ${from} to ${to}`
  const isOver = expiresMs !== null && entry.timeMs >= expiresMs
  if (to === 'Expired' && !isOver) return 'it lets lapse what had not expired'
  const isUse = from === 'Available' && to !== 'Expired'
  return isUse && isOver ? 'it uses what had expired' : null
}

/** What is taken must be there, with the expiry that it came with. */
function amountFault({ lots, holds }: Folded, entry: Entry): string | null {
  const { jobId, kind, postings } = entry
  const hold = jobId === null ? undefined : holds.get(jobId)
  if (kind === 'Hold' && hold !== undefined) return 'its job has an open hold already'
  if (isEnding(entry)) return hold === undefined ? null : equalityFault(postings, hold)
  const isGiving = kind === 'Issue' || kind === 'Receive' || kind === 'Adjust'
  return isGiving ? expiryFault(postings, lots) : coverFault(postings, lots)
}

function equalityFault(postings: readonly Posting[], hold: FoldedLots): string | null {
  const moved = sumsOf(postings)
  const isEqual =
    moved.size === hold.size &&
    [...hold].every(([lotId, { microCredits }]) => moved.get(lotId) === microCredits)
  return isEqual ? expiryFault(postings, hold) : 'it moves other amounts than are held'
}

function coverFault(postings: readonly Posting[], lots: FoldedLots): string | null {
  const isCovered = [...sumsOf(postings)].every(
    ([lotId, sum]) => sum <= (lots.get(lotId)?.microCredits ?? 0),
  )
  return isCovered ? expiryFault(postings, lots) : 'it takes more of a lot than there is'
}

function expiryFault(postings: readonly Posting[], lots: FoldedLots): string | null {
  const isKept = postings.every(({ lotId, expiresMs }) => {
    const known = lots.get(lotId)
    return known === undefined || known.expiresMs === expiresMs
  })
  return isKept ? null : 'it changes when a lot expires'
}

function sumsOf(postings: readonly Posting[]): ReadonlyMap<string, number> {
  const sums = new Map<string, number>()
  for (const { lotId, microCredits } of postings) {
    sums.set(lotId, (sums.get(lotId) ?? 0) + microCredits)
  }
  return sums
}
