import { accountIdOf, accountOwnerOf } from '../../../shared/domain/caller.ts'
import type { UserRow, UserStore } from '../users/store.ts'
import type { AccountService } from './service.ts'

export type LeaveParts = {
  readonly accounts: Pick<AccountService, 'recall'>
  readonly users: Pick<UserStore, 'find'>
}

/**
 * Whether somebody is no member of a department any more. An id without a row was never anybody's:
 * rows of people stay for ever, so what lies on such an account is left to who put it there.
 */
export function hasLeft(
  person: Pick<UserRow, 'state' | 'department'> | null,
  department: string,
): boolean {
  if (person === null) return false
  return person.state === 'Deleted' || person.department !== department
}

/** The same id twice is one transfer. */
export type Leaving = { readonly transferId: string; readonly accountId: string }

/**
 * Sends the free credits of who has left back to the department, with their expiry. Does nothing
 * for who is back. What their jobs still hold is paid from the account and comes back later.
 */
export async function returnCredits(
  { accounts, users }: LeaveParts,
  { transferId, accountId }: Leaving,
): Promise<void> {
  const { department, user } = accountOwnerOf(accountId) ?? {}
  if (department === undefined || user === undefined) return
  if (!hasLeft(await users.find(user), department)) return
  await accounts.recall({
    transferId,
    accountId,
    to: accountIdOf({ department }),
    microCreditsMax: Number.MAX_SAFE_INTEGER,
    note: { by: 'leave', reason: 'The person left the department.' },
  })
}
