import type { Entry } from '../../../shared/domain/account-entry.ts'
import type { AccountDocument } from '../../features/accounts/store.ts'
import { eachById, pagesById } from '../pages.ts'
import { type Check, collector, type Found } from './check.ts'
import { eachEntryPage } from './entry-pages.ts'
import { type Fold, startFold } from './fold.ts'
import type { AuditStore } from './store.ts'
import { openTransferCheck } from './transfer-check.ts'

/** What is kept of an account between two looks takes about two kilobytes, more with many holds. */
const foldsMax = 20_000

/**
 * Every account against its entries, and the entries against those of other accounts and the rows
 * they name. `all` reads each entry once, 250 per query; `changed` reads all accounts, as
 * the comparison does, and only entries that are new, or wrong, with the one before; of more than
 * 20,000 accounts it leaves those to `all` that do not fit into the memory, and also one that went
 * on since the last look and was put back to just what it was then.
 *
 * Over all accounts, issued − revoked − spent − expired is available + held + what is on its way:
 * each account's totals are what its entries say, each of its entries sums to zero, and each
 * posting between accounts has its counterpart or lies in the sender's outbox.
 */
export function openLedgerCheck(store: AuditStore): Check {
  const folds = new Map<string, Fold>()
  const transfers = openTransferCheck(store)
  let checked = { accounts: 0, entries: 0 }
  const foldOf = async (account: AccountDocument): Promise<Fold> => {
    const known = folds.get(account._id)
    // A smaller number than before, and no entries above it: a backup was put back as a whole.
    const isGood = known !== undefined && known.seq() <= account.seq
    if (isGood && !(await isMended(store, account, known))) return known
    transfers.forget(account._id)
    return startFold(account._id)
  }
  const look = async (account: AccountDocument): Promise<readonly Found[]> => {
    const { _id: id, seq } = account
    const above = folds.get(id)?.seq() === seq ? [] : await entriesAbove(store, account)
    if (above.length > 0) return above
    const fold = await foldOf(account)
    const { found, add } = collector()
    for await (const entries of eachEntryPage(store, account, fold.seq())) {
      checked = { ...checked, entries: checked.entries + entries.length }
      for (const entry of entries) fold.take(entry)
      add(await transfers.follow(entries, [account]))
    }
    if (folds.has(id) || folds.size < foldsMax) folds.set(id, fold)
    add(fold.compare(account).map((difference) => ({ subject: id, difference })))
    return found
  }
  const lookAtAll = async (isWanted: (id: string) => boolean) => {
    checked = { accounts: 0, entries: 0 }
    const { found, add } = collector()
    const gone = new Set(folds.keys())
    for await (const account of eachById(store.accounts)) {
      gone.delete(account._id)
      if (!isWanted(account._id)) continue
      checked = { ...checked, accounts: checked.accounts + 1 }
      add(await look(account))
    }
    add(await entriesOfGone(store, [...gone]))
    return found
  }
  return {
    name: 'ledger',
    all: async () => {
      folds.clear()
      transfers.forget()
      return [...(await lookAtAll(() => true)), ...(await entriesWithoutAccount(store))]
    },
    changed: async () => {
      const open = await transfers.lookAgain()
      const found = await lookAtAll((id) => folds.has(id) || folds.size < foldsMax)
      return [...open, ...found]
    },
    again: async (ids) => {
      const { found, add } = collector()
      add(await transfers.lookAgain(ids))
      const accounts = await store.accountsById(ids)
      for (const account of accounts) add(await look(account))
      const there = new Set(accounts.map(({ _id }) => _id))
      add(
        await entriesOfGone(
          store,
          ids.filter((id) => !there.has(id)),
        ),
      )
      return found
    },
    checked: () => checked,
  }
}

/** Whether other entries lie where one was wrong: then everything after it is another matter. */
async function isMended(store: AuditStore, account: AccountDocument, fold: Fold): Promise<boolean> {
  const fault = fold.fault()
  if (fault === null) return false
  const now: Entry[] = []
  const range = { ...account, seq: fault.until }
  for await (const entries of eachEntryPage(store, range, fault.after)) now.push(...entries)
  return describe(now) !== describe(fault.entries)
}

function describe(entries: readonly Entry[]): string {
  return entries
    .map((entry) => JSON.stringify(entry))
    .toSorted()
    .join()
}

async function entriesWithoutAccount(store: AuditStore): Promise<readonly Found[]> {
  const { found, add } = collector()
  for await (const begun of pagesById(store.begunAccounts)) {
    const ids = begun.map(({ _id }) => _id)
    const there = await store.accountIds(ids)
    add(
      await entriesOfGone(
        store,
        ids.filter((id) => !there.has(id)),
      ),
    )
  }
  return found
}

async function entriesOfGone(store: AuditStore, ids: readonly string[]): Promise<readonly Found[]> {
  const { found, add } = collector()
  for (const _id of ids) add(await entriesAbove(store, { _id, seq: 0 }))
  return found
}

/** An account is written before its entries: none can have a greater number than the account. */
async function entriesAbove(
  store: AuditStore,
  { _id: id, seq }: Pick<AccountDocument, '_id' | 'seq'>,
): Promise<readonly Found[]> {
  const newest = await store.newestSeq(id)
  if (newest <= seq) return []
  // It may have been written to since it was read: only a number read before it tells.
  const [account] = await store.accountsById([id])
  if (newest <= (account?.seq ?? 0)) return []
  const end = account === undefined ? 'there is no account' : `the account ends at ${account.seq}`
  const message = `its entries go on to ${newest}, ${end}`
  return [{ subject: id, difference: { kind: 'EntryWithoutAccount', id, message } }]
}
