import {
  addTotals,
  emptyAccount,
  sumOf,
  type Totals,
  usableLots,
} from '../../../shared/domain/account.ts'
import { recipientsOf } from '../../../shared/domain/account-movement.ts'
import { accountIdOf } from '../../../shared/domain/caller.ts'
import { pagesById } from '../../tasks/pages.ts'
import type { AccountDocument, AccountStore } from '../accounts/store.ts'

/** All accounts of one department together; integer micro-credits. */
export type DepartmentUsage = {
  /** Sums of all accounts. */
  readonly totals: Totals
  /** May be spent or given away: on the department's own account, on those of its members. */
  readonly ownFree: number
  readonly membersFree: number
  /** What is free of one lot: on all accounts, and on the one that has most of it. */
  readonly lotFree: number
  readonly lotFreeMost: number
  /** The department's own account; null before its first entry. */
  readonly own: AccountDocument | null
  /** Something is on its way from one account to another, or was a moment ago. */
  readonly isMoving: boolean
  /** Equal in two reads between which no account sent or received anything. */
  readonly transfers: string
}

export type UsageQuery = {
  readonly department: string
  readonly lotId: string
  readonly nowMs: number
}

/** Reads page by page, so a transfer meanwhile may be seen on both accounts or on neither. */
export async function readUsage(
  accounts: Pick<AccountStore, 'pageOfDepartment'>,
  { department, lotId, nowMs }: UsageQuery,
): Promise<DepartmentUsage> {
  const ownId = accountIdOf({ department })
  const pages = pagesById(async (page) => await accounts.pageOfDepartment(department, page))
  let totals = emptyAccount(ownId).totals
  let [ownFree, membersFree, lotFree, lotFreeMost] = [0, 0, 0, 0]
  let own: AccountDocument | null = null
  let isMoving = false
  const transfers: string[] = []
  for await (const page of pages) {
    for (const account of page) {
      const free = sumOf(usableLots(account, nowMs))
      totals = addTotals(totals, account.totals)
      if (account._id === ownId) {
        own = account
        ownFree = free
      } else membersFree += free
      const ofLot = sumOf(account.lots.filter(({ id }) => id === lotId))
      lotFree += ofLot
      lotFreeMost = Math.max(lotFreeMost, ofLot)
      isMoving ||= account.outbox.some((entry) => recipientsOf(entry).length > 0)
      transfers.push(transfersOf(account))
    }
  }
  const lot = { lotFree, lotFreeMost }
  return { totals, own, ownFree, membersFree, ...lot, isMoving, transfers: transfers.join(' ') }
}

function transfersOf({ _id, totals: { received, sent } }: AccountDocument): string {
  return received === 0 && sent === 0 ? '' : `${_id}:${received}:${sent}`
}

/**
 * The same, read twice: null when credits moved between accounts meanwhile, so that nothing is
 * concluded from a sum that never was.
 */
export async function readStillUsage(
  accounts: Pick<AccountStore, 'pageOfDepartment'>,
  query: UsageQuery,
): Promise<DepartmentUsage | null> {
  const first = await readUsage(accounts, query)
  const second = await readUsage(accounts, query)
  const isStill = first.transfers === second.transfers && !first.isMoving && !second.isMoving
  return isStill ? second : null
}
