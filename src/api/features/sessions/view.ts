import type { SiteSettings } from '../../../shared/domain/settings.ts'
import type { OwnSession, SessionView } from '../../../shared/wire/sessions.ts'
import { toUserView } from '../users/views.ts'
import type { UserRow } from '../users/store.ts'
import type { SessionParts } from './parts.ts'
import type { SessionRow } from './store.ts'

/** No session is carried on for longer, however often it is refreshed (ASVS 5.0, 10.4.8). */
const sessionMs = 30 * 86_400_000

type Life = Pick<SessionRow, 'creationTimeMs' | 'lastUseTimeMs' | 'expiresMs' | 'lastEndMs'>

export function lifeOf(settings: SiteSettings, nowMs: number): Life {
  const lastEndMs = nowMs + Math.max(sessionMs, settings.refreshTokenSeconds * 1000)
  const expiresMs = nextEnd(settings, { lastEndMs, nowMs })
  return { creationTimeMs: nowMs, lastUseTimeMs: nowMs, expiresMs, lastEndMs }
}

/** Until when a refresh token of now is good. */
export function nextEnd(
  { refreshTokenSeconds }: SiteSettings,
  { lastEndMs, nowMs }: { readonly lastEndMs: number; readonly nowMs: number },
): number {
  return Math.min(nowMs + refreshTokenSeconds * 1000, lastEndMs)
}

export type Granted = {
  readonly row: SessionRow
  readonly user: UserRow
  readonly refreshToken: string
}

/** A session with a fresh pair of tokens. */
export async function grantedView(
  { settings, tokens, clock }: SessionParts,
  { row, user, refreshToken }: Granted,
): Promise<SessionView> {
  const nowMs = clock.nowMs()
  const { accessTokenSeconds } = await settings()
  const expiresMs = Math.min(nowMs + accessTokenSeconds * 1000, row.expiresMs)
  return {
    id: row._id,
    accessToken: await tokens.sign({ userId: row.userId, sessionId: row._id, expiresMs }),
    tokenType: 'Bearer',
    expiresIn: Math.max(0, Math.floor((expiresMs - nowMs) / 1000)),
    refreshToken,
    refreshExpiresTime: new Date(row.expiresMs).toISOString(),
    user: toUserView(user),
  }
}

export function toOwnSession(row: SessionRow, currentId: string | null | undefined): OwnSession {
  const { _id, method, creationTimeMs, lastUseTimeMs, expiresMs, ip, userAgent } = row
  return {
    id: _id,
    method,
    creationTime: new Date(creationTimeMs).toISOString(),
    lastUseTime: new Date(lastUseTimeMs).toISOString(),
    expiresTime: new Date(expiresMs).toISOString(),
    ip,
    userAgent,
    current: _id === currentId,
  }
}
