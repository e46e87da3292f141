import type { Database } from '../../../platform/mongo/database.ts'
import type { Documents, Identified } from '../../../platform/mongo/documents.ts'
import type { Entry } from '../../../shared/domain/account-entry.ts'
import type { AccountDocument } from '../../features/accounts/store.ts'
import type { UploadedPicture } from '../../features/artifacts/picture-store.ts'
import type { UploadDocument } from '../../features/jobs/attempts.ts'
import type { JobRow } from '../../features/jobs/row.ts'
import { type IdPage, openStates } from '../../features/jobs/store.ts'

type ById<T> = (ids: readonly string[]) => Promise<readonly T[]>
type Ids = (ids: readonly string[]) => Promise<ReadonlySet<string>>
type Paged<T> = (page: IdPage) => Promise<readonly T[]>

/**
 * What the audit reads, and nothing that writes. Unlike the ledger's own store it hands out
 * accounts as they are: an unsound one is what it looks for.
 */
export type AuditStore = {
  readonly accounts: Paged<AccountDocument>
  readonly accountsById: ById<AccountDocument>
  /** Which of these accounts there are. */
  readonly accountIds: Ids
  /** Entries that wait in outboxes; null when more than 1,000 accounts have one. */
  readonly waitingEntries: () => Promise<readonly Entry[] | null>
  /** In order of `seq`, at most `entriesMax`. */
  readonly entries: (accountId: string, range: SeqRange) => Promise<readonly Entry[]>
  readonly entriesById: ById<Entry>
  /** Ids of accounts that have a first entry, whether there is an account or not. */
  readonly begunAccounts: Paged<Identified>
  /** Number of the newest entry of an account in the collection, 0 when it has none. */
  readonly newestSeq: (accountId: string) => Promise<number>
  readonly rows: Paged<JobRow>
  readonly rowsById: ById<JobRow>
  /** Which of these jobs have a row. */
  readonly rowIds: Ids
  readonly openRows: Paged<JobRow>
  /** Ended ones that were written since; an index has both fields. */
  readonly endedSince: (sinceMs: number, page: IdPage) => Promise<readonly JobRow[]>
  readonly uploads: Paged<UploadDocument>
  readonly uploadsById: ById<UploadDocument>
  readonly pictures: Paged<UploadedPicture>
  readonly picturesById: ById<UploadedPicture>
  /** Which of these people have a row. */
  readonly userIds: Ids
}

export type SeqRange = { readonly after: number; readonly until: number }

/** Sealing this many again takes some milliseconds, in which nothing else can run. */
export const entriesMax = 250
const accountsMax = 1000
const endStates = ['Completed', 'Cancelled', 'Failed'] as const

/** Reads nothing more after the signal. */
export function openAuditStore(database: Database, signal?: AbortSignal): AuditStore {
  const open = <T extends Identified>(name: string) => readable(database.documents<T>(name), signal)
  const accounts = open<AccountDocument>('accounts')
  const entries = open<Entry>('entries')
  const rows = open<JobRow>('jobs')
  const uploads = open<UploadDocument>('uploads')
  const pictures = open<UploadedPicture>('pictures')
  const users = open('users')
  return {
    accounts: async (page) => await accounts.find(...after(page)),
    accountsById: async (ids) => await accounts.find(within(ids), { limit: atMost(ids) }),
    accountIds: async (ids) => new Set(await accounts.findIds(within(ids), atMost(ids))),
    waitingEntries: async () => {
      const limit = accountsMax + 1
      const found = await accounts.find({ 'outbox.0': { $exists: true } }, { limit })
      return found.length === limit ? null : found.flatMap(({ outbox }) => outbox)
    },
    entries: async (accountId, range) => {
      const filter = { accountId, seq: { $gt: range.after, $lte: range.until } }
      return await entries.find(filter, { sort: { seq: 1 }, limit: entriesMax })
    },
    entriesById: async (ids) => await entries.find(within(ids), { limit: atMost(ids) }),
    begunAccounts: async ({ afterId, limit }) => {
      const first = { seq: 1, accountId: { $gt: afterId } }
      const found = await entries.find(first, { sort: { accountId: 1 }, limit })
      return found.map(({ accountId }) => ({ _id: accountId }))
    },
    newestSeq: async (accountId) => {
      const [newest] = await entries.find({ accountId }, { sort: { seq: -1 }, limit: 1 })
      return newest?.seq ?? 0
    },
    rows: async (page) => await rows.find(...after(page)),
    rowsById: async (ids) => await rows.find(within(ids), { limit: atMost(ids) }),
    rowIds: async (ids) => new Set(await rows.findIds(within(ids), atMost(ids))),
    openRows: async ({ afterId, limit }) => {
      const filter = { state: { $in: [...openStates] }, _id: { $gt: afterId } }
      return await rows.find(filter, { sort: { _id: 1 }, limit })
    },
    endedSince: async (sinceMs, { afterId, limit }) => {
      const ended = { state: { $in: [...endStates] }, updateTimeMs: { $gte: sinceMs } }
      return await rows.find({ ...ended, _id: { $gt: afterId } }, { sort: { _id: 1 }, limit })
    },
    uploads: async (page) => await uploads.find(...after(page)),
    uploadsById: async (ids) => await uploads.find(within(ids), { limit: atMost(ids) }),
    pictures: async (page) => await pictures.find(...after(page)),
    picturesById: async (ids) => await pictures.find(within(ids), { limit: atMost(ids) }),
    userIds: async (ids) => new Set(await users.findIds(within(ids), atMost(ids))),
  }
}

type Readable<T extends Identified> = Pick<Documents<T>, 'find' | 'findIds'>

/** An audit may take long, and whoever stops the process waits for it. */
function readable<T extends Identified>(
  documents: Documents<T>,
  signal: AbortSignal | undefined,
): Readable<T> {
  return {
    find: async (filter, options) => {
      signal?.throwIfAborted()
      return await documents.find(filter, options)
    },
    findIds: async (filter, limit) => {
      signal?.throwIfAborted()
      return await documents.findIds(filter, limit)
    },
  }
}

function after({ afterId, limit }: IdPage) {
  return [{ _id: { $gt: afterId } }, { sort: { _id: 1 }, limit }] as const
}

function within(ids: readonly string[]) {
  return { _id: { $in: [...ids] } }
}

/** No limit would be 0. */
function atMost(ids: readonly string[]): number {
  return Math.max(1, ids.length)
}
