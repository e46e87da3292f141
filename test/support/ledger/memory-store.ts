import type {
  AccountDocument,
  AccountSnapshot,
  AccountStore,
  AccountWrite,
} from '../../../src/api/features/accounts/store.ts'
import { assertSound, emptyAccount } from '../../../src/shared/domain/account.ts'
import type { Entry } from '../../../src/shared/domain/account-entry.ts'

const entriesPerPage = 1000

type Tables = {
  readonly accounts: Map<string, AccountDocument>
  readonly entries: Map<string, Entry>
}

/**
 * A fake, because the proofs of the ledger need hundred thousands of calls with faults between any
 * two of them; account-store-contract.ts holds it to what the real store does. Each document
 * changes by itself and `turn` is waited for between any two: others may come in between.
 */
export function openMemoryAccountStore(
  turn: () => Promise<void> = async () => await Promise.resolve(),
): AccountStore {
  const tables: Tables = { accounts: new Map(), entries: new Map() }
  const { accounts, entries } = tables
  const sorted = (isWanted: (id: string) => boolean, limit: number) =>
    [...accounts.values()]
      .filter(({ _id }) => isWanted(_id))
      .toSorted((a, b) => (a._id < b._id ? -1 : 1))
      .slice(0, limit)
  return {
    read: async (accountId) => {
      await turn()
      return snapshotOf(tables, accountId)
    },
    readMany: async (ids) => {
      await turn()
      return new Map(ids.map((id) => [id, snapshotOf(tables, id)]))
    },
    write: async (writes) => await write(tables, writes, turn),
    findEntries: async (snapshots, ids) => {
      await turn()
      const waiting = snapshots.flatMap(({ outbox }) => outbox)
      const all = [...ids.flatMap((id) => entries.get(id) ?? []), ...waiting]
      return new Map(all.filter(({ _id }) => ids.includes(_id)).map((entry) => [entry._id, entry]))
    },
    findUnrelayed: async (limit) => {
      await turn()
      return sorted(() => true, Infinity)
        .filter(({ outbox }) => outbox.length > 0)
        .toSorted((a, b) => oldestMs(a) - oldestMs(b))
        .slice(0, limit)
    },
    insertEntries: async (added) => await insertEntries(tables, added, turn),
    dropFromOutboxes: async (relayed) => await drop(tables, relayed, turn),
    page: async (afterId, limit) => {
      await turn()
      return sorted((id) => id > afterId, limit)
    },
    pageOfDepartment: async (department, { afterId, limit }) => {
      await turn()
      const isOf = (id: string) =>
        id === `department:${department}` || id.startsWith(`member:${department}:`)
      return sorted((id) => id > afterId && isOf(id), limit)
    },
    entriesOf: async (accountId, afterSeq) => {
      await turn()
      return chainOf(tables, accountId, (seq) => seq > afterSeq).slice(0, entriesPerPage)
    },
    entriesBefore: async (accountId, { beforeSeq, limit, kind }) => {
      await turn()
      return chainOf(tables, accountId, (seq) => seq < beforeSeq)
        .filter((entry) => kind === undefined || entry.kind === kind)
        .toReversed()
        .slice(0, limit)
    },
  }
}

function oldestMs({ outbox }: AccountDocument): number {
  return Math.min(...outbox.map(({ timeMs }) => timeMs))
}

function snapshotOf({ accounts }: Tables, accountId: string): AccountSnapshot {
  const found = accounts.get(accountId)
  if (found === undefined) return { account: emptyAccount(accountId), outbox: [], isNew: true }
  const { outbox, ...account } = found
  return { account: assertSound(account), outbox, isNew: false }
}

/** As the database does: one after the other, updates first. */
async function write(
  { accounts }: Tables,
  writes: readonly AccountWrite[],
  turn: () => Promise<void>,
): Promise<ReadonlySet<string>> {
  for (const { account } of writes) assertSound(account)
  const written = new Set<string>()
  const ordered = writes.toSorted((a, b) => Number(a.before.isNew) - Number(b.before.isNew))
  for (const { before, account, outbox } of ordered) {
    await turn()
    const found = accounts.get(account._id)
    const isAsRead = before.isNew ? found === undefined : found?.chain === before.account.chain
    if (!isAsRead || (found?.seq ?? 0) !== before.account.seq) continue
    accounts.set(account._id, structuredClone({ ...account, outbox }))
    written.add(account._id)
  }
  return written
}

async function insertEntries(
  { entries }: Tables,
  added: readonly Entry[],
  turn: () => Promise<void>,
): Promise<boolean> {
  for (const entry of added) {
    await turn()
    if (!entries.has(entry._id)) entries.set(entry._id, structuredClone(entry))
  }
  return added.every(({ _id, hash }) => entries.get(_id)?.hash === hash)
}

async function drop(
  { accounts }: Tables,
  relayed: ReadonlyMap<string, readonly string[]>,
  turn: () => Promise<void>,
): Promise<void> {
  for (const [accountId, ids] of relayed) {
    await turn()
    const found = accounts.get(accountId)
    if (found === undefined) continue
    const outbox = found.outbox.filter(({ _id }) => !ids.includes(_id))
    accounts.set(accountId, { ...found, outbox })
  }
}

function chainOf(
  { entries }: Tables,
  accountId: string,
  isWanted: (seq: number) => boolean,
): readonly Entry[] {
  return [...entries.values()]
    .filter((entry) => entry.accountId === accountId && isWanted(entry.seq))
    .toSorted((a, b) => a.seq - b.seq)
}
