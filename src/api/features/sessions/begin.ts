import { AppError } from '../../../shared/errors.ts'
import type { SessionView } from '../../../shared/wire/sessions.ts'
import type { UserRow } from '../users/store.ts'
import type { SessionKeeper } from './contract.ts'
import { endSession } from './end.ts'
import { type SessionParts, sessionsMax } from './parts.ts'
import { newRefreshToken } from './refresh-tokens.ts'
import type { SessionRow } from './store.ts'
import { grantedView, lifeOf } from './view.ts'

export type Beginning = Parameters<SessionKeeper['start']>[0]

/**
 * Begins a session. `isProven` is asked once the session is in the database: who was disabled or
 * got another password in the meantime has ended all sessions but this one, and must not keep it.
 * Errors: `auth.invalid_credentials`.
 */
export async function beginSession(
  parts: SessionParts,
  wish: Beginning,
  isProven: (user: UserRow) => boolean = () => true,
): Promise<SessionView> {
  const { store, trail, directory, newId } = parts
  const person = await findActive(parts, wish.userId)
  const sessionId = newId()
  const token = newRefreshToken(sessionId, parts)
  const row = await newRow(parts, { wish, person, sessionId, refreshHash: token.hash })
  if (!(await store.insert(row))) throw new Error('a session id was made twice')
  const user = await directory.find(wish.userId)
  if (user === null || user.state !== 'Active' || !isProven(user)) {
    await endSession(parts, row, { reason: 'Revoked', by: 'sessions' })
    throw refused()
  }
  await endOldest(parts, row)
  await trail.relay(store, row)
  return await grantedView(parts, { row, user, refreshToken: token.text })
}

async function findActive({ directory }: SessionParts, userId: string): Promise<UserRow> {
  const person = await directory.find(userId)
  if (person === null || person.state !== 'Active') throw refused()
  return person
}

function refused(): AppError {
  return new AppError('auth.invalid_credentials', 'no account has this e-mail and password')
}

type NewRow = {
  readonly wish: Beginning
  readonly person: UserRow
  readonly sessionId: string
  readonly refreshHash: string
}

async function newRow(parts: SessionParts, facts: NewRow): Promise<SessionRow> {
  const { wish, person, sessionId, refreshHash } = facts
  const { userId, method, origin } = wish
  const { role, department } = person
  const by = { userId, role, department, origin }
  const target = { kind: 'User', id: userId, department }
  const after = { sessionId, method }
  return {
    _id: sessionId,
    userId,
    method,
    refreshHash,
    ...lifeOf(await parts.settings(), parts.clock.nowMs()),
    ip: origin?.ip ?? '',
    userAgent: origin?.userAgent ?? '',
    endedMs: null,
    endReason: null,
    auditOutbox: [parts.trail.entry(by, { action: 'session.started', target, after })],
  }
}

async function endOldest(parts: SessionParts, { userId }: SessionRow): Promise<void> {
  const live = await parts.store.listLive(userId, {
    nowMs: parts.clock.nowMs(),
    limit: sessionsMax * 2,
  })
  for (const row of live.slice(0, Math.max(0, live.length - sessionsMax))) {
    await endSession(parts, row, { reason: 'Revoked', by: 'sessions' })
  }
}
