import { findCondition, isTrue } from '../conditions.ts'
import { RECHECK_MAX_MS, SETTLEMENT_RECHECK_MAX_MS, SETTLEMENT_RECHECK_MIN_MS } from '../limits.ts'
import { isLive } from './attempt.ts'
import { type Action, type Decision, deleteAttempt, nothing } from './decision.ts'
import type { Observed } from './observed.ts'
import { clamp, expiryMs } from './times.ts'

/** After the end: nothing may run any more, and after its time to live the job is deleted. */
export function decideEnded(observed: Observed): Decision {
  const { job, nowMs } = observed
  const leftovers = deleteLiveAttempts(observed)
  if (leftovers.length > 0) return { actions: leftovers }
  const written = noteGeneration(observed)
  const dueMs = expiryMs(job)
  if (dueMs === undefined) return nothing
  if (nowMs < dueMs) {
    return { actions: written, recheckAfterMs: Math.min(dueMs - nowMs, RECHECK_MAX_MS) }
  }
  if (isSettled(observed)) return { actions: [{ kind: 'DeleteJob' }] }
  const pauseMs = clamp(nowMs - dueMs, [SETTLEMENT_RECHECK_MIN_MS, SETTLEMENT_RECHECK_MAX_MS])
  return { actions: written, recheckAfterMs: pauseMs }
}

/** A stale cache may once have led to an attempt too many: it must not go on computing. */
function deleteLiveAttempts({ attempts }: Observed): readonly Action[] {
  return attempts.filter(isLive).flatMap(({ job }): Action[] => {
    if (job === undefined || job.deleting) return []
    return [deleteAttempt(job)]
  })
}

/** A spec change after the end is seen, although it has no effect. */
function noteGeneration({ job }: Observed): readonly Action[] {
  const { generation } = job.metadata
  if (job.status?.observedGeneration === generation) return []
  return [{ kind: 'WriteStatus', patch: { observedGeneration: generation } }]
}

/** The job's record and money are in order elsewhere, so that nothing is lost with the resource. */
function isSettled({ job, settlement }: Observed): boolean {
  if (settlement?.kind !== 'Answered') return false
  const { state } = settlement.value
  if (state !== 'Unknown') return state !== 'Open'
  // The api knows no hold: right only for a job that never had one.
  const { conditions } = job.status ?? {}
  const credits = findCondition(conditions, 'CreditsReserved')
  return credits !== undefined && !isTrue(conditions, 'CreditsReserved')
}
