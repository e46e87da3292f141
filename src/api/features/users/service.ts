import { createHash } from 'node:crypto'
import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { AppError } from '../../../shared/errors.ts'
import type { ProfileView, UserView } from '../../../shared/wire/sessions.ts'
import type { AccountService } from '../accounts/service.ts'
import type { UserRow, UserStore } from './store.ts'

/** How long a changed role may go unnoticed; spares a read on every request. */
const callerAgeMsMax = 5000
const cachedCallersMax = 10_000

export type UserService = {
  /** The caller's own profile and balance. */
  readonly getProfile: (caller: Caller) => Promise<ProfileView>
  /** For signing in only. */
  readonly findForSignIn: (email: string) => Promise<UserRow | null>
  /** The caller that a verified token stands for. Throws `auth.invalid_token` when they are gone. */
  readonly findCaller: (userId: string) => Promise<Caller>
}

export type UserParts = {
  readonly users: UserStore
  readonly accounts: Pick<AccountService, 'balance'>
  readonly clock: Clock
}

export function createUserService({ users, accounts, clock }: UserParts): UserService {
  const findCaller = rememberCallers(users, clock)
  return {
    getProfile: async (caller) => {
      requirePermission(caller, 'users.read_self')
      const [row, balance] = await Promise.all([
        users.find(caller.userId),
        accounts.balance(caller),
      ])
      if (row === null) throw unknownUser()
      return { ...toUserView(row), balance: formatCredits(balance.availableMicroCredits) }
    },
    findForSignIn: async (email) => await users.find(userIdOf(email)),
    findCaller,
  }
}

/** An RFC 1123 label that follows from the address alone. */
export function userIdOf(email: string): string {
  const digest = createHash('sha256').update(email.toLowerCase()).digest('hex')
  return `u-${digest.slice(0, 24)}`
}

export function toUserView({ _id, email, name, role, department }: UserRow): UserView {
  return { id: _id, email, name, role, department }
}

type Remembered = { readonly caller: Caller; readonly untilMs: number }

function rememberCallers(users: UserStore, clock: Clock): (userId: string) => Promise<Caller> {
  const remembered = new Map<string, Remembered>()
  return async (userId) => {
    const known = remembered.get(userId)
    if (known !== undefined && known.untilMs > clock.nowMs()) return known.caller
    const row = await users.find(userId)
    if (row === null) throw unknownUser()
    const caller = { userId, role: row.role, department: row.department }
    if (remembered.size >= cachedCallersMax) remembered.clear()
    remembered.set(userId, { caller, untilMs: clock.nowMs() + callerAgeMsMax })
    return caller
  }
}

function unknownUser(): AppError {
  return new AppError('auth.invalid_token', 'the user of this token does not exist any more')
}
