import type { Origin } from '../../../shared/domain/caller.ts'
import { AppError } from '../../../shared/errors.ts'
import type { SessionView } from '../../../shared/wire/sessions.ts'
import type { UserRow } from '../users/store.ts'
import { endSession } from './end.ts'
import { isLive } from './liveness.ts'
import type { SessionParts } from './parts.ts'
import { newRefreshToken, parseRefreshToken } from './refresh-tokens.ts'
import type { Rotation, SessionRow } from './store.ts'
import { grantedView, nextEnd } from './view.ts'

/**
 * Exchanges a refresh token for a new pair. One compare-and-set decides: of two requests with the
 * same token one wins, and the other shows that two hold it, which ends the session for both.
 * Errors: `auth.invalid_token`, `auth.refresh_reused`.
 */
export async function refreshSession(
  parts: SessionParts,
  text: string,
  origin: Origin,
): Promise<SessionView> {
  const { store, seal } = parts
  const presented = parseRefreshToken(text, seal)
  if (presented === null) throw invalid()
  const known = await findLive(parts, presented.sessionId)
  const user = await findActive(parts, known)
  const token = newRefreshToken(known._id, parts)
  const rotation = await rotationOf(parts, { known, refreshHash: token.hash, origin })
  const row = await store.rotate(known._id, presented.hash, rotation)
  if (row === null) return await endReused(parts, known, origin)
  return await grantedView(parts, { row, user, refreshToken: token.text })
}

async function findLive(parts: SessionParts, sessionId: string): Promise<SessionRow> {
  const row = await parts.store.find(sessionId)
  if (row === null) throw invalid()
  if (isLive(row, parts.clock.nowMs())) return row
  if (row.endReason !== 'Reused') throw invalid()
  // Again: whoever ended it may have been stopped right after.
  await tellOfReuse(parts, row)
  throw reused()
}

async function findActive({ directory }: SessionParts, { userId }: SessionRow): Promise<UserRow> {
  const user = await directory.find(userId)
  if (user === null || user.state !== 'Active') throw invalid()
  return user
}

type Next = {
  readonly known: SessionRow
  readonly refreshHash: string
  readonly origin: Origin
}

async function rotationOf(
  { settings, clock }: SessionParts,
  { known, refreshHash, origin: { ip, userAgent } }: Next,
): Promise<Rotation> {
  const nowMs = clock.nowMs()
  const expiresMs = nextEnd(await settings(), { lastEndMs: known.lastEndMs, nowMs })
  return { refreshHash, lastUseTimeMs: nowMs, expiresMs, ip, userAgent }
}

async function endReused(parts: SessionParts, known: SessionRow, origin: Origin): Promise<never> {
  // It may have ended or expired just now, which is no reuse.
  await findLive(parts, known._id)
  const hasEnded = await endSession(parts, known, { reason: 'Reused', by: 'sessions', origin })
  if (hasEnded) await tellOfReuse(parts, known)
  throw reused()
}

/** The ids follow from the session: whatever is told again reaches the person once. */
async function tellOfReuse(
  { directory, notifier, mailer }: SessionParts,
  { _id, userId }: SessionRow,
): Promise<void> {
  const user = await directory.find(userId)
  if (user?.state !== 'Active') return
  await notifier.notify({ id: _id, userId, fact: { kind: 'SessionReuse', values: {} } })
  if (user.email === '') return
  await mailer?.send({
    id: `session-reuse:${_id}`,
    to: user.email,
    language: user.language,
    content: { template: 'SessionReuse' },
  })
}

function invalid(): AppError {
  return new AppError('auth.invalid_token', 'the refresh token is not valid or has expired')
}

function reused(): AppError {
  return new AppError('auth.refresh_reused', 'this refresh token was used before; sign in again')
}
