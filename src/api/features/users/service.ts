import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { passwordFault } from '../../../shared/domain/password-fault.ts'
import { permissionsOf, requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { AppError, invalidRequest } from '../../../shared/errors.ts'
import type {
  PasswordChangeRequest,
  ProfileChangeRequest,
  ProfileView,
} from '../../../shared/wire/users.ts'
import type { AccountService } from '../accounts/service.ts'
import {
  type OwnPasswordParts,
  requireOwnPassword,
  wrongPassword,
} from '../sessions/own-password.ts'
import type { Passwords } from '../sessions/passwords.ts'
import { decidePassword, decideProfile } from './decisions.ts'
import type { PersonChanges } from './person-changes.ts'
import type { UserRow, UserStore } from './store.ts'
import { toPersonView } from './views.ts'

/** What people do with their own account. */
export type UserService = {
  /** The caller's own profile, permissions and balance. */
  readonly getProfile: (caller: Caller) => Promise<ProfileView>
  readonly updateProfile: (caller: Caller, change: ProfileChangeRequest) => Promise<ProfileView>
  /**
   * Sets a new password and signs out everywhere else. Errors: `auth.invalid_credentials` when the
   * current one is wrong or there is none, `request.invalid` when the new one is easy to guess,
   * `rate.limited` after too many tries.
   */
  readonly changePassword: (caller: Caller, request: PasswordChangeRequest) => Promise<void>
}

export type UserParts = OwnPasswordParts & {
  readonly users: Pick<UserStore, 'find'>
  readonly accounts: Pick<AccountService, 'balance'>
  readonly personChanges: PersonChanges
  readonly passwords: Pick<Passwords, 'hash' | 'verifyFound'>
  readonly clock: Clock
}

export function createUserService(parts: UserParts): UserService {
  const { users, personChanges } = parts
  return {
    getProfile: async (caller) => {
      requirePermission(caller, 'users.read_self')
      const row = await users.find(caller.userId)
      if (row === null) throw new AppError('user.not_found', 'you are not there any more')
      return await viewProfile(parts, caller, row)
    },
    updateProfile: async (caller, change) => {
      requirePermission(caller, 'users.update_self')
      const decide = (row: UserRow) => decideProfile(row, change)
      const row = await personChanges.apply(caller.userId, caller, decide)
      return await viewProfile(parts, caller, row)
    },
    changePassword: async (caller, request) => {
      requirePermission(caller, 'users.update_self')
      await changePassword(parts, caller, request)
    },
  }
}

async function viewProfile(
  { accounts, clock }: UserParts,
  caller: Caller,
  row: UserRow,
): Promise<ProfileView> {
  const balance = await accounts.balance(caller)
  const permissions = permissionsOf(row.role).filter((one) => caller.scopes?.includes(one) ?? true)
  return {
    ...toPersonView(row, clock.nowMs()),
    permissions,
    balance: formatCredits(balance.availableMicroCredits),
  }
}

async function changePassword(
  parts: UserParts,
  caller: Caller,
  { currentPassword, newPassword }: PasswordChangeRequest,
): Promise<void> {
  const known = await requireOwnPassword(parts, caller, currentPassword)
  const fault = passwordFault(newPassword, known)
  if (fault !== null) throw invalidRequest([{ path: '/newPassword', message: fault }])
  const passwordHash = await parts.passwords.hash(newPassword, caller.origin?.ip)
  await parts.personChanges.apply(caller.userId, caller, (row) => {
    // Somebody else may have set another password since this one was verified.
    if (row.passwordHash !== known.passwordHash) throw wrongPassword()
    return decidePassword(passwordHash, caller.sessionId ?? null)
  })
}
