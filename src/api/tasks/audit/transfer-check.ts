import type { Entry } from '../../../shared/domain/account-entry.ts'
import type { DifferenceKind } from '../../../shared/domain/audit-differences.ts'
import type { AccountDocument } from '../../features/accounts/store.ts'
import type { Found } from './check.ts'
import type { AuditStore } from './store.ts'

/** What entries say about other accounts' entries and about rows. */
export type TransferCheck = {
  /** Of accounts that were read before. Three queries at most for a page of entries. */
  readonly follow: (
    entries: readonly Entry[],
    accounts: readonly AccountDocument[],
  ) => Promise<readonly Found[]>
  /** At what was on its way or differed, in case that it got lost or was mended. */
  readonly lookAgain: (accountIds?: readonly string[]) => Promise<readonly Found[]>
  readonly forget: (accountId?: string) => void
}

/** What lies on the way for minutes is rare: a replica died and no other one relays. */
const openMax = 10_000

const entriesPerLook = 250
const transfersPerQuery = 500
const incoming = '/incoming'

export function openTransferCheck(store: AuditStore): TransferCheck {
  const open = new Map<string, Entry>()
  const openOf = (accountIds: readonly string[] = []) => {
    const asked = new Set(accountIds)
    return [...open.values()].filter(({ accountId }) => asked.size === 0 || asked.has(accountId))
  }
  const follow: TransferCheck['follow'] = async (entries, accounts) => {
    const sent = await followSent(store, entries)
    const received = await followReceived(store, entries)
    const differing = [
      ...sent.found,
      ...received.found,
      ...(await followSettled(store, entries)),
      ...(await followAdjusted(store, entries, accounts)),
    ]
    const waiting = [...sent.waiting, ...received.waiting]
    const ids = new Set([...differing.map((one) => one.difference.id), ...waiting.map(idOf)])
    for (const entry of entries) {
      if (!ids.has(entry._id)) open.delete(entry._id)
      else if (open.size < openMax) open.set(entry._id, entry)
    }
    return differing
  }
  return {
    follow,
    lookAgain: async (accountIds) => {
      const entries = openOf(accountIds)
      const all: Found[] = []
      for (let start = 0; start < entries.length; start += entriesPerLook) {
        const some = entries.slice(start, start + entriesPerLook)
        const ids = new Set(some.map(({ accountId }) => accountId))
        all.push(...(await follow(some, await store.accountsById([...ids]))))
      }
      return all
    },
    forget: (accountId) => {
      for (const { _id } of openOf(accountId === undefined ? [] : [accountId])) open.delete(_id)
    },
  }
}

type Followed = {
  readonly found: readonly Found[]
  /** Cannot be judged yet. */
  readonly waiting: readonly Entry[]
}

async function followSent(store: AuditStore, entries: readonly Entry[]): Promise<Followed> {
  const sent = entries.flatMap(transfersOf)
  const differing: Found[] = []
  const waiting: Entry[] = []
  for (let start = 0; start < sent.length; start += transfersPerQuery) {
    const compared = await compareTransfers(store, sent.slice(start, start + transfersPerQuery))
    differing.push(...compared.found)
    waiting.push(...compared.waiting)
  }
  return { found: differing, waiting }
}

type Transfer = { readonly entry: Entry; readonly to: string }

function transfersOf(entry: Entry): readonly Transfer[] {
  const sides = entry.postings.map(({ credit }) => credit).filter((side) => side.endsWith(incoming))
  return [...new Set(sides)].map((side) => ({ entry, to: side.slice(0, -incoming.length) }))
}

function receiptIdOf({ entry, to }: Transfer): string {
  return `${entry._id}:${to}:receive`
}

/** Accounts first: a receipt leaves its outbox after it lies in the collection. */
async function compareTransfers(store: AuditStore, sent: readonly Transfer[]): Promise<Followed> {
  const ids = sent.flatMap(({ entry, to }) => [entry.accountId, to])
  const accounts = await store.accountsById([...new Set(ids)])
  const outboxes = accounts.flatMap(({ outbox }) => outbox)
  const stored = await store.entriesById(sent.map(receiptIdOf))
  const receipts = new Map([...outboxes, ...stored].map((entry) => [entry._id, entry]))
  const waiting = new Set(outboxes.map(idOf))
  const compared = sent.map((transfer) => {
    const { entry, to } = transfer
    const receipt = receipts.get(receiptIdOf(transfer))
    if (receipt !== undefined) return isEqual(transfer, receipt) ? null : differs(entry, to)
    return waiting.has(entry._id) ? entry : lost(entry, to)
  })
  return {
    found: compared.flatMap((one) => (one !== null && 'subject' in one ? [one] : [])),
    waiting: compared.flatMap((one) => (one !== null && 'postings' in one ? [one] : [])),
  }
}

function isEqual({ entry, to }: Transfer, receipt: Entry): boolean {
  const sent = entry.postings.filter(({ credit }) => credit === to + incoming)
  const came = receipt.postings.filter(({ debit }) => debit === to + incoming)
  return describe(sent) === describe(came)
}

/** One lot may come in several pieces. */
function describe(postings: Entry['postings']): string {
  const lots = Map.groupBy(postings, ({ lotId, expiresMs }) => JSON.stringify([lotId, expiresMs]))
  return [...lots]
    .map(([lot, pieces]) => `${lot} ${pieces.reduce((sum, one) => sum + one.microCredits, 0)}`)
    .toSorted()
    .join()
}

/** One query for entries of a page; a second one for what still lies in some outbox. */
async function followReceived(store: AuditStore, entries: readonly Entry[]): Promise<Followed> {
  const received = entries.filter(({ kind }) => kind === 'Receive')
  const sentIds = new Map(received.map((entry) => [entry, sentIdOf(entry)]))
  let missing = await withoutSent(store, received, sentIds)
  if (missing.length === 0) return { found: [], waiting: [] }
  const outboxes = await store.waitingEntries()
  if (outboxes === null) return { found: [], waiting: missing }
  const waiting = new Set(outboxes.map(idOf))
  missing = missing.filter((entry) => !waiting.has(sentIds.get(entry) ?? ''))
  // It may have left its outbox between the first query and the second.
  missing = await withoutSent(store, missing, sentIds)
  const differing = missing.map((entry) => {
    return found('ReceiptWithoutTransfer', entry, `nobody sent ${entry._id}`)
  })
  return { found: differing, waiting: [] }
}

function sentIdOf({ _id, accountId }: Entry): string {
  return _id.slice(0, -`:${accountId}:receive`.length)
}

async function withoutSent(
  store: AuditStore,
  received: readonly Entry[],
  sentIds: ReadonlyMap<Entry, string>,
): Promise<readonly Entry[]> {
  if (received.length === 0) return []
  const stored = await store.entriesById(received.map((entry) => sentIds.get(entry) ?? ''))
  const ids = new Set(stored.map(idOf))
  return received.filter((entry) => !ids.has(sentIds.get(entry) ?? ''))
}

/** A hold that was given up may have lost its row, a settlement never. Rows are not removed. */
async function followSettled(store: AuditStore, entries: readonly Entry[]) {
  const settled = entries.filter(({ kind, jobId }) => kind === 'Settle' && jobId !== null)
  if (settled.length === 0) return []
  const ids = await store.rowIds(settled.map(({ jobId }) => jobId ?? ''))
  return settled
    .filter(({ jobId }) => !ids.has(jobId ?? ''))
    .map((entry) => found('EntryWithoutRow', entry, `there is no row of job ${entry.jobId}`))
}

/** Nobody is given back more than an entry took. */
async function followAdjusted(
  store: AuditStore,
  entries: readonly Entry[],
  accounts: readonly AccountDocument[],
) {
  const adjusted = entries.filter(({ kind }) => kind === 'Adjust')
  if (adjusted.length === 0) return []
  const outboxes = accounts.flatMap(({ outbox }) => outbox)
  const stored = [...outboxes, ...(await store.entriesById(adjusted.map(adjustedIdOf)))]
  const taken = new Map(stored.map((entry) => [entry._id, entry]))
  return adjusted.flatMap((entry) => {
    const from = taken.get(adjustedIdOf(entry))
    const isOurs = from?.accountId === entry.accountId && from.jobId === entry.jobId
    if (isOurs && sumOf(entry) <= takenBy(from)) return []
    return [found('EntryInvalid', entry, 'it gives back more than was taken, or from elsewhere')]
  })
}

function adjustedIdOf({ _id }: Entry): string {
  return _id.slice(0, -':adjust'.length)
}

function takenBy({ postings }: Entry): number {
  const systems = new Set(['system/revenue', 'system/expired'])
  return sumOf({ postings: postings.filter(({ credit }) => systems.has(credit)) })
}

function sumOf({ postings }: Pick<Entry, 'postings'>): number {
  return postings.reduce((sum, { microCredits }) => sum + microCredits, 0)
}

function idOf({ _id }: Entry): string {
  return _id
}

function lost(entry: Entry, to: string): Found {
  return found('TransferLost', entry, `it never arrived at ${to} and is not on its way`)
}

function differs(entry: Entry, to: string): Found {
  return found('TransferDiffers', entry, `${to} received something else`)
}

function found(kind: DifferenceKind, { _id: id, accountId }: Entry, message: string): Found {
  return { subject: accountId, difference: { kind, id, message } }
}
