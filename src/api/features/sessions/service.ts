import type { Caller, Origin } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import type { Page, PageQuery } from '../../../shared/wire/pages.ts'
import type { OwnSession, SessionRequest, SessionView } from '../../../shared/wire/sessions.ts'
import { pageOf } from '../../pages.ts'
import { endAllSessions, endSession } from './end.ts'
import { isLive } from './liveness.ts'
import { type SessionParts, sessionsMax } from './parts.ts'
import { refreshSession } from './refresh.ts'
import { signIn, type SignInParts } from './sign-in.ts'
import { toOwnSession } from './view.ts'

export type SessionService = {
  /** Open to everybody. Throws `auth.invalid_credentials`, never saying which of the two is wrong. */
  readonly signIn: (request: SessionRequest, origin: Origin) => Promise<SessionView>
  /** Open to whoever has the token. Errors: `auth.invalid_token`, `auth.refresh_reused`. */
  readonly refresh: (token: string, origin: Origin) => Promise<SessionView>
  /** The caller's live sessions, oldest first. */
  readonly list: (caller: Caller, query: PageQuery) => Promise<Page<OwnSession>>
  /** Ends the session of the request. Safe to repeat. */
  readonly signOut: (caller: Caller) => Promise<void>
  /** Ends one of the caller's own sessions. Throws `session.not_found`. */
  readonly revoke: (caller: Caller, sessionId: string) => Promise<void>
  /** Ends all of the caller's sessions but the one of the request. Safe to repeat. */
  readonly revokeOthers: (caller: Caller) => Promise<void>
}

export function createSessionService(parts: SignInParts): SessionService {
  return {
    signIn: async (request, origin) => await signIn(parts, request, origin),
    refresh: async (token, origin) => await refreshSession(parts, token, origin),
    list: async (caller, query) => {
      requirePermission(caller, 'sessions.manage')
      const options = { nowMs: parts.clock.nowMs(), limit: sessionsMax * 2 }
      const rows = await parts.store.listLive(caller.userId, options)
      const { items, next } = pageOf(rows, query, ({ _id }) => _id)
      return { items: items.map((row) => toOwnSession(row, caller.sessionId)), next }
    },
    signOut: async (caller) => {
      requirePermission(caller, 'sessions.manage')
      const { sessionId, userId } = caller
      if (sessionId === undefined || sessionId === null) return
      await endSession(parts, { _id: sessionId, userId }, { reason: 'SignedOut', by: caller })
    },
    revoke: async (caller, sessionId) => {
      requirePermission(caller, 'sessions.manage')
      await revokeOwn(parts, caller, sessionId)
    },
    revokeOthers: async (caller) => {
      requirePermission(caller, 'sessions.manage')
      const { userId, sessionId: keepSessionId } = caller
      await endAllSessions(parts, { userId, keepSessionId, reason: 'Revoked', by: caller })
    },
  }
}

async function revokeOwn(parts: SessionParts, caller: Caller, sessionId: string): Promise<void> {
  const row = await parts.store.find(sessionId)
  const isOwn = row?.userId === caller.userId && isLive(row, parts.clock.nowMs())
  if (isOwn && (await endSession(parts, row, { reason: 'Revoked', by: caller }))) return
  throw new AppError('session.not_found', 'you have no live session with this id')
}
