import type { Clock } from '../../../shared/clock.ts'
import { openShortMemory } from '../../short-memory.ts'
import type { IdentityChanges } from '../users/identity-changes.ts'
import type { SessionRow, SessionStore } from './store.ts'

/** How long an end that Redis lost may go unnoticed; spares a read on every request. */
const ageMsMax = 5000
const sizeMax = 10_000

/** Which sessions live right now. */
export type Liveness = {
  /** Whose session it is; null for one that has ended, expired or never was. */
  readonly ownerOf: (sessionId: string) => Promise<string | null>
}

export function rememberSessions(
  sessions: Pick<SessionStore, 'find'>,
  { clock, changes }: { readonly clock: Clock; readonly changes: Pick<IdentityChanges, 'listen'> },
): Liveness {
  const memory = openShortMemory({ read: sessions.find, clock, ageMsMax, sizeMax })
  changes.listen((change) => {
    if (change.kind === 'Session') memory.forget(change.sessionId)
  })
  return {
    ownerOf: async (sessionId) => {
      const known = await memory.get(sessionId)
      const hasExpired = known !== null && known.expiresMs <= clock.nowMs()
      // Nobody is told of a refresh, which may have moved the end.
      const row = hasExpired ? await sessions.find(sessionId) : known
      return row !== null && isLive(row, clock.nowMs()) ? row.userId : null
    },
  }
}

export function isLive(row: SessionRow, nowMs: number): boolean {
  return row.endedMs === null && row.expiresMs > nowMs
}
