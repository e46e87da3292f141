import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { AppError } from '../../../shared/errors.ts'
import { openShortMemory } from '../../short-memory.ts'
import type { IdentityChanges } from './identity-changes.ts'
import type { UserStore } from './store.ts'

/** How long a change that Redis lost may go unnoticed; spares a read on every request. */
const ageMsMax = 5000
const sizeMax = 10_000

/** Who a verified user id stands for right now. */
export type Callers = {
  /** Throws `auth.invalid_token` for who is disabled, deleted or unknown. */
  readonly find: (userId: string) => Promise<Caller>
}

export function rememberCallers(
  users: Pick<UserStore, 'find'>,
  { clock, changes }: { readonly clock: Clock; readonly changes: IdentityChanges },
): Callers {
  const read = async (userId: string): Promise<Caller | null> => {
    const row = await users.find(userId)
    if (row === null || row.state !== 'Active') return null
    return { userId, role: row.role, department: row.department }
  }
  const memory = openShortMemory({ read, clock, ageMsMax, sizeMax, keepsNull: false })
  changes.listen((change) => {
    if (change.kind === 'User') memory.forget(change.userId)
  })
  return {
    find: async (userId) => {
      const caller = await memory.get(userId)
      if (caller === null) throw unknownUser()
      return caller
    },
  }
}

function unknownUser(): AppError {
  return new AppError('auth.invalid_token', 'the user of this token may not sign in any more')
}
