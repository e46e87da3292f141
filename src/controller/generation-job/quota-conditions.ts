import type { ConditionDraft } from '../conditions.ts'
import { saysTheSame } from '../kueue/workload.ts'
import type { Observed } from './observed.ts'
import { condition, keptCondition } from './status.ts'

/**
 * That Kueue has not let the job start, in its own words. What is written stays until Kueue says
 * something else: a number in its message that moves with other jobs is not worth a write.
 */
export function waitingForQuota(observed: Observed): ConditionDraft {
  const type = 'Admitted'
  const kept = keptCondition(observed, type)
  const message = messageOf(observed)
  if (kept?.reason === 'WaitingForQuota') {
    if (message === undefined || saysTheSame(kept.message, message)) return kept
  }
  return condition({ type, status: 'False', reason: 'WaitingForQuota', message })
}

function messageOf({ kueue }: Observed): string | undefined {
  const said = kueue?.workload?.message ?? ''
  return said === '' ? undefined : `Kueue: ${said}`
}

/** Whether an earlier attempt had a pod is all that there is to say. */
export function podsWithoutQuota(number: number): ConditionDraft {
  const reason = number === 1 ? 'NotStarted' : 'Ended'
  return condition({ type: 'PodsReady', status: 'False', reason })
}
