import { createHash } from 'node:crypto'
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
import type { TransferOutcome } from './outcomes.ts'
import type { AccountService, Balance } from './service.ts'
import type { AccountStore } from './store.ts'

/** What the movements of credits that people ask for have in common. */
export type MovementParts = {
  readonly accounts: Pick<AccountService, 'balanceOf' | 'issue' | 'transfer' | 'recall' | 'adjust'>
  readonly accountStore: Pick<AccountStore, 'read' | 'findEntries'>
  readonly users: Pick<UserStore, 'find' | 'findMany' | 'page'>
  readonly departments: Pick<DepartmentStore, 'find'>
  readonly auditLog: Pick<AuditLogStore, 'append'>
  readonly notifier: Notifier
  readonly clock: Clock
}

/** One key may move credits of several accounts: each is a movement of its own. */
export function movementIdOf({ userId }: Caller, key: string, accountId: string): string {
  const text = JSON.stringify([userId, key, accountId])
  return `rest:${createHash('sha256').update(text).digest('hex').slice(0, 40)}`
}

export function noteBy({ userId }: Caller, reason: string | undefined): EntryNote {
  return { by: userId, reason: reason ?? '' }
}

/**
 * The entry of a movement that was done before: then only its answer is missing, whatever has
 * become of the people in it. Null for a new one. Errors: `idempotency.mismatch` when it had
 * another reason; what else differs the ledger finds.
 */
export async function findEarlier(
  { accountStore }: Pick<MovementParts, 'accountStore'>,
  wish: { readonly accountId: string; readonly entryId: string; readonly note: EntryNote },
): Promise<Entry | null> {
  const entry = await findEntryOf({ accountStore }, wish)
  const isSame = entry === null || entry.note === null || entry.note.reason === wish.note.reason
  if (isSame) return entry
  throw reusedKey()
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

function reusedKey(): AppError {
  return new AppError('idempotency.mismatch', 'this key moved other credits before')
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
  if (expiresTime === null) return null
  const expiresMs = Date.parse(expiresTime)
  if (expiresMs > nowMs) return expiresMs
  throw invalidRequest([{ path: '/expiresTime', message: 'is in the past' }])
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
