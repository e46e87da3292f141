import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { AppError } from '../../../shared/errors.ts'
import type { IdentityChanges } from './identity-changes.ts'
import type { UserStore } from './store.ts'

/** How long a change that Redis lost may go unnoticed; spares a read on every request. */
const ageMsMax = 5000
const rememberedMax = 10_000

/** Who a verified user id stands for right now. */
export type Callers = {
  /** Throws `auth.invalid_token` for who is disabled, deleted or unknown. */
  readonly find: (userId: string) => Promise<Caller>
}

type Remembered = { readonly caller: Caller; readonly untilMs: number }

export function rememberCallers(
  users: Pick<UserStore, 'find'>,
  { clock, changes }: { readonly clock: Clock; readonly changes: IdentityChanges },
): Callers {
  const remembered = new Map<string, Remembered>()
  let epoch = 0
  changes.listen((change) => {
    if (change.kind !== 'User') return
    epoch += 1
    remembered.delete(change.userId)
  })
  return {
    find: async (userId) => {
      const known = remembered.get(userId)
      if (known !== undefined && known.untilMs > clock.nowMs()) return known.caller
      const asked = epoch
      const row = await users.find(userId)
      if (row === null || row.state !== 'Active') throw unknownUser()
      const caller = { userId, role: row.role, department: row.department }
      if (remembered.size >= rememberedMax) remembered.clear()
      // A read that began before a change was heard of may be older than the change.
      if (asked === epoch) remembered.set(userId, { caller, untilMs: clock.nowMs() + ageMsMax })
      return caller
    },
  }
}

function unknownUser(): AppError {
  return new AppError('auth.invalid_token', 'the user of this token may not sign in any more')
}
