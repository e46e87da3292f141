import type { Database } from '../../../platform/mongo/database.ts'
import type { Documents } from '../../../platform/mongo/documents.ts'
import { type Account, assertSound, emptyAccount } from '../../../shared/domain/account.ts'
import { type Entry, endings, entryId } from '../../../shared/domain/account-entry.ts'

/** What lies in the database: the account and the entries that the relay has not written yet. */
export type AccountDocument = Account & { readonly outbox: readonly Entry[] }

/** What an account reads like at one moment: the value and how past jobs ended. */
export type AccountSnapshot = {
  readonly account: Account
  readonly outbox: readonly Entry[]
  readonly isNew: boolean
}

export type AccountStore = {
  readonly read: (accountId: string) => Promise<AccountSnapshot>
  /** One compare-and-set: false when somebody else changed the account since `read`. */
  readonly write: (
    before: AccountSnapshot,
    account: Account,
    entries: readonly Entry[],
  ) => Promise<boolean>
  /**
   * Entries with these ids, wherever they are. Read the account before: an entry leaves the outbox
   * only after it lies in the collection.
   */
  readonly findEntries: (
    snapshot: AccountSnapshot,
    ids: readonly string[],
  ) => Promise<ReadonlyMap<string, Entry>>
  /** Accounts whose outbox is not empty. */
  readonly findUnrelayed: (limit: number) => Promise<readonly AccountDocument[]>
  /** False when an id is taken by another entry: two different facts claim one name. */
  readonly insertEntries: (added: readonly Entry[]) => Promise<boolean>
  readonly dropFromOutbox: (accountId: string, ids: readonly string[]) => Promise<void>
  readonly page: (afterId: string, limit: number) => Promise<readonly AccountDocument[]>
  readonly entriesOf: (accountId: string, afterSeq: number) => Promise<readonly Entry[]>
}

const entriesPerPage = 1000

export function openAccountStore(database: Database): AccountStore {
  const accounts = database.documents<AccountDocument>('accounts')
  const entries = database.documents<Entry>('entries')
  return {
    read: async (accountId) => toSnapshot(accountId, await accounts.findById(accountId)),
    write: async (before, account, added) => await write(accounts, before, { account, added }),
    findEntries: async (snapshot, ids) => {
      const stored = await entries.find({ _id: { $in: [...ids] } }, { limit: ids.length })
      const wanted = snapshot.outbox.filter(({ _id }) => ids.includes(_id))
      return new Map([...stored, ...wanted].map((entry) => [entry._id, entry]))
    },
    findUnrelayed: async (limit) =>
      await accounts.find({ 'outbox.0': { $exists: true } }, { limit }),
    insertEntries: async (added) => await insertOnce(entries, added),
    dropFromOutbox: async (accountId, ids) => {
      const change = { $pull: { outbox: { _id: { $in: [...ids] } } } }
      await accounts.update({ _id: accountId }, change)
    },
    page: async (afterId, limit) =>
      await accounts.find({ _id: { $gt: afterId } }, { sort: { _id: 1 }, limit }),
    entriesOf: async (accountId, afterSeq) => {
      const filter = { accountId, seq: { $gt: afterSeq } }
      return await entries.find(filter, { sort: { seq: 1 }, limit: entriesPerPage })
    },
  }
}

/** Ids of all entries that one job can have. */
export function entryIdsOf(jobId: string): readonly string[] {
  return [entryId(jobId, 'Hold'), ...endings.map((ending) => entryId(jobId, ending))]
}

function toSnapshot(accountId: string, found: AccountDocument | null): AccountSnapshot {
  if (found === null) return { account: emptyAccount(accountId), outbox: [], isNew: true }
  const { outbox, ...account } = found
  return { account: assertSound(account), outbox, isNew: false }
}

type Written = { readonly account: Account; readonly added: readonly Entry[] }

/** `$push` instead of a whole outbox: the relay may be pulling from it at the same time. */
async function write(
  accounts: Documents<AccountDocument>,
  before: AccountSnapshot,
  { account, added }: Written,
): Promise<boolean> {
  assertSound(account)
  if (before.isNew) return await accounts.insert({ ...account, outbox: added })
  const { _id, ...fields } = account
  return await accounts.update(
    { _id, seq: before.account.seq },
    { $set: fields, $push: { outbox: { $each: [...added] } } },
  )
}

/** Entries that are there already were written by another relay, or by this one before a crash. */
async function insertOnce(entries: Documents<Entry>, added: readonly Entry[]): Promise<boolean> {
  if (await entries.insertMissing(added)) return true
  const ids = added.map(({ _id }) => _id)
  const stored = await entries.find({ _id: { $in: ids } }, { limit: ids.length })
  const hashes = new Map(stored.map(({ _id, hash }) => [_id, hash]))
  return added.every(({ _id, hash }) => hashes.get(_id) === hash)
}
