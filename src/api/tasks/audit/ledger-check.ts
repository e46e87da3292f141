import type { AccountDocument } from '../../features/accounts/store.ts'
import { eachById } from '../pages.ts'
import { type Check, collector, type Found } from './check.ts'
import { eachEntryPage } from './entry-pages.ts'
import { type Fold, startFold } from './fold.ts'
import type { AuditStore } from './store.ts'
import { openTransferCheck } from './transfer-check.ts'

/** What is kept of an account between two looks takes about a kilobyte, and more with many holds. */
const foldsMax = 20_000

/**
 * Every account against its entries, and the entries against those of other accounts and the rows
 * they name. `all` reads each entry once, 250 per query; `changed` reads all accounts, as
 * the comparison does, and only entries that are new; of more than 20,000 accounts it leaves those
 * to `all` that do not fit into the memory.
 *
 * Over all accounts, issued − revoked − spent − expired is available + held + what is on its way:
 * each account's totals are what its entries say, each of its entries sums to zero, and each
 * posting between accounts has its counterpart or lies in the sender's outbox.
 */
export function openLedgerCheck(store: AuditStore): Check {
  const folds = new Map<string, Fold>()
  const transfers = openTransferCheck(store)
  let checked = { accounts: 0, entries: 0 }
  const look = async (account: AccountDocument): Promise<readonly Found[]> => {
    const { _id: id, seq } = account
    const known = folds.get(id)
    // A smaller number than before: the database was restored from a backup.
    const fold = known === undefined || known.seq() > seq ? startFold(id) : known
    const { found, add } = collector()
    for await (const entries of eachEntryPage(store, account, fold.seq())) {
      checked = { ...checked, entries: checked.entries + entries.length }
      for (const entry of entries) fold.take(entry)
      add(await transfers.follow(entries, account))
    }
    const differences = fold.compare(account)
    if (differences.length > 0) folds.delete(id)
    else if (folds.has(id) || folds.size < foldsMax) folds.set(id, fold)
    add(differences.map((difference) => ({ subject: id, difference })))
    return found
  }
  const lookAtAll = async (isWanted: (id: string) => boolean) => {
    checked = { accounts: 0, entries: 0 }
    const { found, add } = collector()
    for await (const account of eachById(store.accounts)) {
      if (!isWanted(account._id)) continue
      checked = { ...checked, accounts: checked.accounts + 1 }
      add(await look(account))
    }
    return found
  }
  return {
    all: async () => {
      folds.clear()
      transfers.forget()
      return await lookAtAll(() => true)
    },
    changed: async () => {
      const waiting = await transfers.lookAtWaiting()
      const found = await lookAtAll((id) => folds.has(id) || folds.size < foldsMax)
      return [...waiting, ...found]
    },
    again: async (ids) => {
      const { found, add } = collector()
      for (const account of await store.accountsById(ids)) {
        folds.delete(account._id)
        add(await look(account))
      }
      return found
    },
    checked: () => checked,
  }
}
