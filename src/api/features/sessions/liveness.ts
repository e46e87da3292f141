import type { Clock } from '../../../shared/clock.ts'
import type { IdentityChanges } from '../users/identity-changes.ts'
import type { SessionRow, SessionStore } from './store.ts'

/** How long an end that Redis lost may go unnoticed; spares a read on every request. */
const ageMsMax = 5000
const rememberedMax = 10_000

/** Which sessions live right now. */
export type Liveness = {
  /** Whose session it is; null for one that has ended, expired or never was. */
  readonly ownerOf: (sessionId: string) => Promise<string | null>
}

type Remembered = { readonly owner: string | null; readonly untilMs: number }

export function rememberSessions(
  sessions: Pick<SessionStore, 'find'>,
  { clock, changes }: { readonly clock: Clock; readonly changes: Pick<IdentityChanges, 'listen'> },
): Liveness {
  const remembered = new Map<string, Remembered>()
  let epoch = 0
  changes.listen((change) => {
    if (change.kind !== 'Session') return
    epoch += 1
    remembered.delete(change.sessionId)
  })
  return {
    ownerOf: async (sessionId) => {
      const known = remembered.get(sessionId)
      if (known !== undefined && known.untilMs > clock.nowMs()) return known.owner
      const asked = epoch
      const row = await sessions.find(sessionId)
      const read = rememberRow(row, clock.nowMs())
      if (remembered.size >= rememberedMax) remembered.clear()
      // A read that began before an end was heard of may be older than the end.
      if (asked === epoch) remembered.set(sessionId, read)
      return read.owner
    },
  }
}

function rememberRow(row: SessionRow | null, nowMs: number): Remembered {
  const untilMs = nowMs + ageMsMax
  if (row === null || !isLive(row, nowMs)) return { owner: null, untilMs }
  return { owner: row.userId, untilMs: Math.min(untilMs, row.expiresMs) }
}

export function isLive(row: SessionRow, nowMs: number): boolean {
  return row.endedMs === null && row.expiresMs > nowMs
}
