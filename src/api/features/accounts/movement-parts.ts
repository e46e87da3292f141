import type { Clock } from '../../../shared/clock.ts'
import type { Shortfall } from '../../../shared/domain/account-change.ts'
import type { Entry, EntryNote } from '../../../shared/domain/account-entry.ts'
import { accountOwnerOf, type Caller } from '../../../shared/domain/caller.ts'
import { canSee } from '../../../shared/domain/permissions.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { assert } from '../../../shared/assert.ts'
import { AppError, invalidRequest } from '../../../shared/errors.ts'
import type { BalanceView } from '../../../shared/wire/credits.ts'
import type { AuditLogStore } from '../audit-log/store.ts'
import type { DepartmentStore } from '../departments/store.ts'
import type { Notifier } from '../notifications/contract.ts'
import type { UserRow, UserStore } from '../users/store.ts'
import type { MovementStore } from './movement-store.ts'
import type { TransferOutcome } from './outcomes.ts'
import type { AccountService, Balance } from './service.ts'
import type { AccountStore } from './store.ts'

/** What the movements of credits that people ask for have in common. */
export type MovementParts = {
  readonly accounts: Pick<AccountService, 'balanceOf' | 'issue' | 'transfer' | 'recall' | 'adjust'>
  readonly accountStore: Pick<AccountStore, 'read' | 'findEntries'>
  readonly users: Pick<UserStore, 'find' | 'findMany' | 'page'>
  readonly departments: Pick<DepartmentStore, 'find'>
  readonly movements: MovementStore
  readonly auditLog: Pick<AuditLogStore, 'append'>
  readonly notifier: Notifier
  readonly clock: Clock
}

export function noteBy({ userId }: Caller, reason: string | undefined): EntryNote {
  return { by: userId, reason: reason ?? '' }
}

export async function findEntryOf(
  { accountStore }: Pick<MovementParts, 'accountStore'>,
  { accountId, entryId }: { readonly accountId: string; readonly entryId: string },
): Promise<Entry | null> {
  const snapshot = await accountStore.read(accountId)
  return (await accountStore.findEntries([snapshot], [entryId])).get(entryId) ?? null
}

/** Errors: `credits.insufficient` (details `missing`, `available`), `idempotency.mismatch`. */
export function requireMoved(outcome: TransferOutcome) {
  if (outcome.kind === 'Moved') return outcome
  throw outcome.kind === 'Mismatch' ? reusedKey() : insufficient(outcome)
}

export function insufficient({ missingMicroCredits, availableMicroCredits }: Shortfall): AppError {
  const missing = formatCredits(missingMicroCredits)
  const details = { missing, available: formatCredits(availableMicroCredits) }
  return new AppError('credits.insufficient', `${missing} credits are missing`, { details })
}

export function reusedKey(): AppError {
  return new AppError('idempotency.mismatch', 'this Idempotency-Key was used for another movement')
}

/** A department that the caller may not see answers as one that is not there. */
export async function requireDepartment(
  { departments }: Pick<MovementParts, 'departments'>,
  caller: Caller,
  department: string,
): Promise<void> {
  const isTheirs = canSee(caller, { department, user: caller.userId })
  if (isTheirs && (await departments.find(department)) !== null) return
  throw new AppError('department.not_found', `there is no department ${department}`)
}

/** Who may be given credits of a department. */
export function isActiveMember(
  person: Pick<UserRow, 'department' | 'role' | 'state'> | null | undefined,
  department: string,
): boolean {
  const isMember = person?.department === department && person.role !== 'guest'
  return isMember && person.state === 'Active'
}

/** Null is never. Errors: `request.invalid` for the past. */
export function expiryOf(expiresTime: string | null, nowMs: number): number | null {
  requireFuture(expiresTime, nowMs)
  return toMs(expiresTime)
}

export function requireFuture(expiresTime: string | null, nowMs: number): void {
  const expiresMs = toMs(expiresTime)
  if (expiresMs === null || expiresMs > nowMs) return
  throw invalidRequest([{ path: '/expiresTime', message: 'is in the past' }])
}

/** Null is never. */
export function toMs(expiresTime: string | null): number | null {
  return expiresTime === null ? null : Date.parse(expiresTime)
}

export function toBalanceView(balance: Balance): BalanceView {
  const owner = accountOwnerOf(balance.accountId)
  assert(owner !== null, 'an account belongs to a department or a member')
  return {
    department: owner.department,
    user: owner.user ?? null,
    available: formatCredits(balance.availableMicroCredits),
    held: formatCredits(balance.heldMicroCredits),
    spent: formatCredits(balance.spentMicroCredits),
  }
}
