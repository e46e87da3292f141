import type { Caller, Origin } from '../../../shared/domain/caller.ts'
import type { SessionEnd, SessionKeeper } from './contract.ts'
import { type SessionParts, sessionsMax } from './parts.ts'
import type { SessionRow } from './store.ts'

export type EndWish = {
  readonly reason: SessionEnd
  readonly by: Caller | string
  /** When `by` is not a person. */
  readonly origin?: Origin | undefined
}

/** Ends one session and makes every replica forget it. False when it had ended. */
export async function endSession(
  parts: SessionParts,
  { _id, userId }: Pick<SessionRow, '_id' | 'userId'>,
  wish: EndWish,
): Promise<boolean> {
  const department = await departmentOf(parts, userId)
  return await endOne(parts, { _id, userId, department }, wish)
}

async function departmentOf({ directory }: SessionParts, userId: string): Promise<string | null> {
  return (await directory.find(userId))?.department ?? null
}

type Ending = Pick<SessionRow, '_id' | 'userId'> & { readonly department: string | null }

async function endOne(
  { store, trail, changes, clock }: SessionParts,
  { _id, userId, department }: Ending,
  { reason, by, origin }: EndWish,
): Promise<boolean> {
  const audit = trail.entry(by, {
    action: reason === 'Reused' ? 'session.reuse_detected' : 'session.ended',
    target: { kind: 'User', id: userId, department },
    after: { sessionId: _id, reason },
    origin,
  })
  const row = await store.end(_id, { endedMs: clock.nowMs(), endReason: reason, audit })
  changes.publish({ kind: 'Session', sessionId: _id, userId })
  if (row !== null) await trail.relay(store, row)
  return row !== null
}

const roundsMax = 20
/** At the moment of its expiry a replica whose clock is behind may still refresh a session. */
const clocksDifferMs = 5 * 60_000

/** Ends all sessions of a person but one; also those that began while it worked. */
export async function endAllSessions(
  parts: SessionParts,
  { userId, keepSessionId, reason, by }: Parameters<SessionKeeper['endAll']>[0],
): Promise<void> {
  const department = await departmentOf(parts, userId)
  const options = { nowMs: parts.clock.nowMs() - clocksDifferMs, limit: sessionsMax }
  for (let round = 0; round < roundsMax; round += 1) {
    const live = await parts.store.listLive(userId, options)
    const ending = live.filter(({ _id }) => _id !== keepSessionId)
    if (ending.length === 0) return
    for (const { _id } of ending) await endOne(parts, { _id, userId, department }, { reason, by })
  }
}
