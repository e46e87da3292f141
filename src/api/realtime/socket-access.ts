import type { Clock } from '../../shared/clock.ts'
import type { Caller } from '../../shared/domain/caller.ts'
import { isAppError } from '../../shared/errors.ts'
import type { ApiKeyStore } from '../features/api-keys/store.ts'
import type { SessionKeeper } from '../features/sessions/contract.ts'
import type { Callers } from '../features/users/callers.ts'
import type { Person } from './socket-register.ts'

export type AccessParts = {
  readonly callers: Callers
  readonly sessions: Pick<SessionKeeper, 'isLive'>
  readonly apiKeys: Pick<ApiKeyStore, 'find'>
  readonly clock: Clock
}

/** Closes the sockets of a person who may not have them any more. */
export async function checkAccess(parts: AccessParts, { sockets }: Person): Promise<void> {
  const byRight = Map.groupBy(sockets, ({ caller: { sessionId, keyId, role, department } }) =>
    [sessionId ?? keyId, role, department].join(' '),
  )
  for (const [, [first, ...others]] of byRight) {
    const end = first === undefined ? null : await findAccessEnd(parts, first.caller)
    if (first === undefined || end === null) continue
    for (const socket of [first, ...others]) socket.close(end)
  }
}

/**
 * Why somebody may not listen any more: disabled, with another role or department, or with a
 * session or key that has ended; null when they may. Their access token's end does not matter.
 */
export async function findAccessEnd(
  parts: AccessParts,
  caller: Caller,
): Promise<'session_ended' | 'access_changed' | null> {
  const now = await findCaller(parts.callers, caller.userId)
  if (now === null) return 'session_ended'
  if (!isSame(now, caller)) return 'access_changed'
  return (await isLive(parts, caller)) ? null : 'session_ended'
}

async function findCaller(callers: Callers, userId: string): Promise<Caller | null> {
  try {
    return await callers.find(userId)
  } catch (error) {
    if (isAppError(error, 'auth.invalid_token')) return null
    throw error
  }
}

function isSame(now: Caller, then: Caller): boolean {
  return now.role === then.role && now.department === then.department
}

/** Whether what opened a socket still lives: a session or an API key. */
export async function isLive(
  { sessions, apiKeys, clock }: Omit<AccessParts, 'callers'>,
  { sessionId, keyId }: Pick<Caller, 'sessionId' | 'keyId'>,
): Promise<boolean> {
  if (typeof sessionId === 'string') return await sessions.isLive(sessionId)
  const key = keyId === undefined ? null : await apiKeys.find(keyId)
  if (key === null || key.revokedMs !== null) return false
  return key.expiresMs === null || key.expiresMs > clock.nowMs()
}
