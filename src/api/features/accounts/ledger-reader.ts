import type { Database } from '../../../platform/mongo/database.ts'
import type { Entry } from '../../../shared/domain/account-entry.ts'
import { type AccountDocument, type EntriesBefore, openAccountStore } from './store.ts'

/** Reads entries where they are: in the collection, or still in the outbox of their account. */
export type LedgerReader = {
  /** Newest first, with what was written just now. */
  readonly page: (accountId: string, page: EntriesBefore) => Promise<readonly Entry[]>
  readonly find: (entryId: string) => Promise<Entry | null>
}

export function openLedgerReader(database: Database): LedgerReader {
  const accounts = database.documents<AccountDocument>('accounts')
  const entries = database.documents<Entry>('entries')
  const { entriesBefore } = openAccountStore(database)
  return {
    page: async (accountId, { kind, beforeSeq, limit }) => {
      // The outbox first: an entry leaves it only after it lies in the collection.
      const account = await accounts.findById(accountId)
      if (account === null) return []
      // What came after this read may be in the collection without what came before it.
      const seqEnd = Math.min(beforeSeq, account.seq + 1)
      const stored = await entriesBefore(accountId, { beforeSeq: seqEnd, limit, kind })
      const waiting = account.outbox.filter(
        (entry) => entry.seq < seqEnd && (kind === undefined || entry.kind === kind),
      )
      const bySeq = new Map([...waiting, ...stored].map((entry) => [entry.seq, entry]))
      return [...bySeq.values()].toSorted((a, b) => b.seq - a.seq).slice(0, limit)
    },
    find: async (entryId) => {
      const stored = await entries.findById(entryId)
      if (stored !== null) return stored
      const [account] = await accounts.find({ 'outbox._id': entryId }, { limit: 1 })
      const waiting = account?.outbox.find(({ _id }) => _id === entryId)
      // It may have gone from the outbox to the collection between the two looks.
      return waiting ?? (await entries.findById(entryId))
    },
  }
}
