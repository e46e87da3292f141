import type { Clock } from '../../../shared/clock.ts'
import { type Account, sumOf, usableLots } from '../../../shared/domain/account.ts'
import { accountIdOf, type AccountOwner, type Caller } from '../../../shared/domain/caller.ts'
import { canSee, requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { AccountQuery, AccountView } from '../../../shared/wire/ledger.ts'
import type { DepartmentStore } from '../departments/store.ts'
import type { UserStore } from '../users/store.ts'
import type { AccountStore } from './store.ts'

export type AccountViewParts = {
  readonly accountStore: Pick<AccountStore, 'read' | 'pageOfDepartment'>
  readonly users: Pick<UserStore, 'find' | 'findMany' | 'page'>
  readonly departments: Pick<DepartmentStore, 'find'>
  readonly clock: Clock
}

/** Errors: `credits.account_not_found`, also for what the caller may not see. */
export async function viewAccount(
  parts: AccountViewParts,
  caller: Caller,
  query: AccountQuery,
): Promise<AccountView> {
  requirePermission(caller, 'credits.read')
  const owner = ownerOf(caller, query)
  const account = await requireAccount(parts, caller, owner)
  return { ...toAccountView(account, parts.clock.nowMs()), ...viewOwner(owner) }
}

/** Without anything the caller's own account; with a department alone that of the department. */
export function ownerOf(caller: Caller, { department, user }: AccountQuery): AccountOwner {
  if (department === undefined && user === undefined) {
    return { department: caller.department, user: caller.userId }
  }
  return { department: department ?? caller.department, user }
}

/** One that nothing was written to yet is empty, if it is somebody's. */
export async function requireAccount(
  parts: Whose & { readonly accountStore: Pick<AccountStore, 'read'> },
  caller: Caller,
  owner: AccountOwner,
): Promise<Account> {
  if (!canSee(caller, owner)) throw accountNotFound()
  const { account, isNew } = await parts.accountStore.read(accountIdOf(owner))
  if (!isNew || (await exists(parts, owner))) return account
  throw accountNotFound()
}

type Whose = {
  readonly users: Pick<UserStore, 'find'>
  readonly departments: Pick<DepartmentStore, 'find'>
}

async function exists(
  { users, departments }: Whose,
  { department, user }: AccountOwner,
): Promise<boolean> {
  if (user === undefined) return (await departments.find(department)) !== null
  const person = await users.find(user)
  const isMember = person?.department === department && person.role !== 'guest'
  return isMember && person.state !== 'Deleted'
}

function accountNotFound(): AppError {
  return new AppError('credits.account_not_found', 'there is no such account')
}

function viewOwner({ department, user }: AccountOwner) {
  return { department, user: user ?? null }
}

type AccountFigures = Omit<AccountView, 'department' | 'user'>

/**
 * A lot that has lapsed counts as expired at once, although the ledger books it off a little later:
 * nobody can use it any more.
 */
function toAccountView(account: Account, nowMs: number): AccountFigures {
  const { totals } = account
  const available = sumOf(usableLots(account, nowMs))
  return {
    available: formatCredits(available),
    held: formatCredits(totals.held),
    spent: formatCredits(totals.spent),
    expired: formatCredits(totals.expired + totals.available - available),
    issued: formatCredits(totals.issued),
    received: formatCredits(totals.received),
    sent: formatCredits(totals.sent),
    revoked: formatCredits(totals.revoked),
    lots: toLots(account, nowMs),
    openHolds: account.holds.length,
  }
}

type LotFigures = { expiresMs: number | null; available: number; held: number }

/** What is free and what holds reserve of each lot, in the order in which lots are spent. */
function toLots(account: Account, nowMs: number): AccountView['lots'] {
  const lots = new Map<string, LotFigures>()
  const figuresOf = (id: string, expiresMs: number | null): LotFigures => {
    const figures = lots.get(id) ?? { expiresMs, available: 0, held: 0 }
    lots.set(id, figures)
    return figures
  }
  for (const { id, expiresMs, microCredits } of usableLots(account, nowMs)) {
    figuresOf(id, expiresMs).available += microCredits
  }
  for (const { id, expiresMs, microCredits } of account.holds.flatMap(({ parts }) => parts)) {
    figuresOf(id, expiresMs).held += microCredits
  }
  return [...lots].toSorted(bySpending).map(([id, { expiresMs, available, held }]) => {
    const expiresTime = toTime(expiresMs)
    return { id, available: formatCredits(available), held: formatCredits(held), expiresTime }
  })
}

type LotEntry = readonly [string, LotFigures]

function bySpending([idA, a]: LotEntry, [idB, b]: LotEntry): number {
  const [endA, endB] = [a.expiresMs ?? Infinity, b.expiresMs ?? Infinity]
  if (endA !== endB) return endA < endB ? -1 : 1
  return idA < idB ? -1 : 1
}

export function toTime(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString()
}
