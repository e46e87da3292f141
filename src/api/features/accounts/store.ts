import type { Database } from '../../../platform/mongo/database.ts'
import type { Documents } from '../../../platform/mongo/documents.ts'
import { type Account, assertSound, emptyAccount } from '../../../shared/domain/account.ts'
import type { Entry, EntryKind } from '../../../shared/domain/account-entry.ts'

/** What lies in the database: the account and the entries that the relay has not written yet. */
export type AccountDocument = Account & { readonly outbox: readonly Entry[] }

/** What an account reads like at one moment. */
export type AccountSnapshot = {
  readonly account: Account
  readonly outbox: readonly Entry[]
  readonly isNew: boolean
}

export type AccountWrite = {
  readonly before: AccountSnapshot
  readonly account: Account
  /**
   * All of it. To leave an entry out that lies in the collection is right, to name one again that
   * somebody dropped meanwhile does no harm, and new ones come only with a new `seq`.
   */
  readonly outbox: readonly Entry[]
}

export type EntriesBefore = {
  readonly beforeSeq: number
  readonly limit: number
  readonly kind?: EntryKind | undefined
}

export type AccountStore = {
  readonly read: (accountId: string) => Promise<AccountSnapshot>
  readonly readMany: (
    accountIds: readonly string[],
  ) => Promise<ReadonlyMap<string, AccountSnapshot>>
  /**
   * One compare-and-set each, of different accounts. The ids of those that are known to be written:
   * of any other, only another read can tell.
   */
  readonly write: (writes: readonly AccountWrite[]) => Promise<ReadonlySet<string>>
  /**
   * Entries with these ids, in the collection or in the outboxes of the snapshots. Read the
   * accounts before: an entry leaves the outbox only after it lies in the collection.
   */
  readonly findEntries: (
    snapshots: readonly AccountSnapshot[],
    ids: readonly string[],
  ) => Promise<ReadonlyMap<string, Entry>>
  /** Accounts whose outbox is not empty, those first that have waited longest. */
  readonly findUnrelayed: (limit: number) => Promise<readonly AccountDocument[]>
  /** False when an id is taken by another entry: two different facts claim one name. */
  readonly insertEntries: (added: readonly Entry[]) => Promise<boolean>
  /** Ids of entries by the id of the account. */
  readonly dropFromOutboxes: (relayed: ReadonlyMap<string, readonly string[]>) => Promise<void>
  readonly page: (afterId: string, limit: number) => Promise<readonly AccountDocument[]>
  /** The accounts of one department: its own and those of everybody who was ever a member. */
  readonly pageOfDepartment: (
    department: string,
    page: { readonly afterId: string; readonly limit: number },
  ) => Promise<readonly AccountDocument[]>
  /** In order of `seq`, at most 1,000. */
  readonly entriesOf: (accountId: string, afterSeq: number) => Promise<readonly Entry[]>
  /** Newest first: those with a smaller `seq`, of one kind or of all. */
  readonly entriesBefore: (accountId: string, page: EntriesBefore) => Promise<readonly Entry[]>
}

const entriesPerPage = 1000

export function openAccountStore(database: Database): AccountStore {
  const accounts = database.documents<AccountDocument>('accounts')
  const entries = database.documents<Entry>('entries')
  return {
    read: async (accountId) => toSnapshot(accountId, await accounts.findById(accountId)),
    readMany: async (ids) => await readMany(accounts, ids),
    write: async (writes) => await write(accounts, writes),
    findEntries: async (snapshots, ids) => {
      if (ids.length === 0) return new Map()
      const stored = await entries.find({ _id: { $in: [...ids] } }, { limit: ids.length })
      const asked = new Set(ids)
      const waiting = snapshots.flatMap(({ outbox }) => outbox).filter(({ _id }) => asked.has(_id))
      return new Map([...stored, ...waiting].map((entry) => [entry._id, entry]))
    },
    findUnrelayed: async (limit) =>
      await accounts.find(
        { 'outbox.0': { $exists: true } },
        { sort: { 'outbox.timeMs': 1, _id: 1 }, limit },
      ),
    insertEntries: async (added) => await insertOnce(entries, added),
    dropFromOutboxes: async (relayed) => {
      const updates = [...relayed].map(([_id, ids]) => {
        return { filter: { _id }, change: { $pull: { outbox: { _id: { $in: [...ids] } } } } }
      })
      await accounts.updateEach(updates)
    },
    page: async (afterId, limit) =>
      await accounts.find({ _id: { $gt: afterId } }, { sort: { _id: 1 }, limit }),
    pageOfDepartment: async (department, { afterId, limit }) => {
      const ofMembers = { _id: { $gte: `member:${department}:`, $lt: `member:${department};` } }
      const filter = { $or: [{ _id: `department:${department}` }, ofMembers] }
      const after = { _id: { $gt: afterId } }
      return await accounts.find({ $and: [filter, after] }, { sort: { _id: 1 }, limit })
    },
    entriesOf: async (accountId, afterSeq) => {
      const filter = { accountId, seq: { $gt: afterSeq } }
      return await entries.find(filter, { sort: { seq: 1 }, limit: entriesPerPage })
    },
    entriesBefore: async (accountId, { beforeSeq, limit, kind }) => {
      const filter = { accountId, seq: { $lt: beforeSeq }, ...(kind !== undefined && { kind }) }
      return await entries.find(filter, { sort: { seq: -1 }, limit })
    },
  }
}

async function readMany(accounts: Documents<AccountDocument>, ids: readonly string[]) {
  if (ids.length === 0) return new Map<string, AccountSnapshot>()
  const found = await accounts.find({ _id: { $in: [...ids] } }, { limit: ids.length })
  const byId = new Map(found.map((document) => [document._id, document]))
  return new Map(ids.map((id) => [id, toSnapshot(id, byId.get(id) ?? null)]))
}

function toSnapshot(accountId: string, found: AccountDocument | null): AccountSnapshot {
  if (found === null) return { account: emptyAccount(accountId), outbox: [], isNew: true }
  const { outbox, ...account } = found
  return { account: assertSound(account), outbox, isNew: false }
}

async function write(
  accounts: Documents<AccountDocument>,
  writes: readonly AccountWrite[],
): Promise<ReadonlySet<string>> {
  for (const { account } of writes) assertSound(account)
  const added = writes.filter(({ before }) => before.isNew)
  const changed = writes.filter(({ before }) => !before.isNew)
  const areChanged = (await accounts.updateEach(changed.map(toUpdate))) === changed.length
  const areAdded =
    added.length === 0 ||
    (await accounts.insertMissing(added.map(({ account, outbox }) => ({ ...account, outbox }))))
  const known = [...(areChanged ? changed : []), ...(areAdded ? added : [])]
  const unsure = [...(areChanged ? [] : changed), ...(areAdded ? [] : added)]
  const found = await findWritten(accounts, unsure)
  return new Set([...known.map(({ account }) => account._id), ...found])
}

/** The chain as well: a database that was put back may come to the same number another way. */
function toUpdate({ before, account: { _id, ...fields }, outbox }: AccountWrite) {
  const { seq, chain } = before.account
  return { filter: { _id, seq, chain }, change: { $set: { ...fields, outbox } } }
}

/** Somebody else wrote to one of them: the others must not wait for that. */
async function findWritten(
  accounts: Documents<AccountDocument>,
  writes: readonly AccountWrite[],
): Promise<readonly string[]> {
  if (writes.length === 0) return []
  const ours = writes.map(({ account: { _id, chain } }) => ({ _id, chain }))
  return await accounts.findIds({ $or: ours }, writes.length)
}

/** Entries that are there already were written by another relay, or by this one before a crash. */
async function insertOnce(entries: Documents<Entry>, added: readonly Entry[]): Promise<boolean> {
  if (added.length === 0 || (await entries.insertMissing(added))) return true
  const ids = added.map(({ _id }) => _id)
  const stored = await entries.find({ _id: { $in: ids } }, { limit: ids.length })
  const hashes = new Map(stored.map(({ _id, hash }) => [_id, hash]))
  return added.every(({ _id, hash }) => hashes.get(_id) === hash)
}
