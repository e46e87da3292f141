import type { Entry } from '../../../shared/domain/account-entry.ts'
import { recipientsOf } from '../../../shared/domain/account-movement.ts'
import type { SnapshotMemory } from './snapshot-memory.ts'
import type { AccountStore } from './store.ts'

/**
 * Takes the entries that this process wrote from the outboxes into the collection while the next
 * round is prepared, so that an outbox stays short under load. Whatever it does not get done is
 * left to the relay of all accounts.
 */
export type EntryRelay = {
  /** Entries of one account that were just written to its outbox. */
  readonly add: (entries: readonly Entry[]) => void
  /** Begins to write what was added into the collection, one batch at a time. */
  readonly begin: () => void
  /**
   * Resolves when what was begun is done. Waiting for it before the next write keeps outboxes
   * short, and short outboxes make writes fast.
   */
  readonly settled: () => Promise<void>
  /** Whether this relay takes care of an entry. */
  readonly knows: (entry: Entry) => boolean
  /** Whether an entry lies in the collection and may leave the outbox. */
  readonly isRelayed: (entry: Entry) => boolean
  /** These were left out of an outbox. */
  readonly dropped: (entries: readonly Entry[]) => void
  /** Flushes, and drops what no later write of its account has dropped. */
  readonly finish: () => Promise<void>
}

/** Many of those that could not be written mean that the database is away. */
const waitingMax = 5000

export function openEntryRelay(store: AccountStore, memory: SnapshotMemory): EntryRelay {
  const waiting = new Map<string, Entry>()
  const relayed = new Map<string, Entry>()
  let writing: Promise<void> | null = null
  const insert = async () => {
    const entries = [...waiting.values()]
    // Failing is no error here: they stay in the outbox.
    const isWritten = await store.insertEntries(entries).catch(() => null)
    if (isWritten === null) return
    for (const entry of entries) {
      waiting.delete(entry._id)
      // An id with two meanings: the relay of all accounts says which, and takes the others.
      if (isWritten) relayed.set(entry._id, entry)
    }
  }
  const begin = () => {
    if (waiting.size === 0) return
    writing ??= insert().finally(() => {
      writing = null
    })
  }
  return {
    add: (entries) => {
      for (const entry of entries) {
        // What goes to another account stays in the outbox until it has arrived there.
        const isOurs = recipientsOf(entry).length === 0 && waiting.size < waitingMax
        if (isOurs) waiting.set(entry._id, entry)
      }
    },
    begin,
    settled: async () => {
      await writing
    },
    knows: ({ _id }) => waiting.has(_id) || relayed.has(_id),
    isRelayed: ({ _id }) => relayed.has(_id),
    dropped: (entries) => {
      for (const { _id } of entries) relayed.delete(_id)
    },
    finish: async () => {
      await writing
      await insert()
      const byAccount = Map.groupBy(relayed.values(), ({ accountId }) => accountId)
      if (byAccount.size === 0) return
      const ids = [...byAccount].map(([id, own]) => [id, own.map(({ _id }) => _id)] as const)
      const isDropped = await store.dropFromOutboxes(new Map(ids)).then(
        () => true,
        () => false,
      )
      if (!isDropped) return
      for (const [accountId] of byAccount) memory.withoutOutbox(accountId, relayed)
      relayed.clear()
    },
  }
}
