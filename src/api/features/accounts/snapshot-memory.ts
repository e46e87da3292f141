import type { AccountSnapshot } from './store.ts'

/**
 * What this process wrote last to the accounts it wrote to. It may be outdated: only a
 * compare-and-set that succeeds proves that it was not.
 */
export type SnapshotMemory = {
  readonly get: (accountId: string) => AccountSnapshot | undefined
  readonly set: (snapshot: AccountSnapshot) => void
  readonly forget: (accountId: string) => void
  /** These entries were dropped from its outbox. */
  readonly withoutOutbox: (accountId: string, dropped: ReadonlyMap<string, unknown>) => void
}

/** An account with all its holds may take some hundred kilobytes. */
const accountsMax = 128

export function openSnapshotMemory(): SnapshotMemory {
  const snapshots = new Map<string, AccountSnapshot>()
  return {
    get: (accountId) => snapshots.get(accountId),
    set: (snapshot) => {
      const { _id } = snapshot.account
      // Written again, it moves to the end: those at the front were not used for longest.
      snapshots.delete(_id)
      snapshots.set(_id, snapshot)
      const [oldest] = snapshots.keys()
      if (snapshots.size > accountsMax && oldest !== undefined) snapshots.delete(oldest)
    },
    forget: (accountId) => void snapshots.delete(accountId),
    withoutOutbox: (accountId, dropped) => {
      const snapshot = snapshots.get(accountId)
      if (snapshot === undefined) return
      const outbox = snapshot.outbox.filter(({ _id }) => !dropped.has(_id))
      snapshots.set(accountId, { ...snapshot, outbox })
    },
  }
}
