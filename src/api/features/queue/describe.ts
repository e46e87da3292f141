import type { Condition } from '../../../shared/crd/common.ts'
import type { ExplainedJob } from '../../../shared/wire/queue.ts'
import type { PendingReason, QueueView } from '../../../shared/wire/queue-view.ts'
import type { JobRow } from '../jobs/row.ts'

export type WaitingFacts = Pick<JobRow, 'state' | 'conditions'>

/**
 * How a job stands in the queue; null when it does not wait. What its custom resource says stands
 * first, in the order in which a job passes it; the rest only the controller that leads knows.
 */
export function describeWaiting(
  row: WaitingFacts,
  live: ExplainedJob | undefined,
): QueueView | null {
  if (!isWaiting(row)) return null
  const reason = writtenReason(row.conditions)
  if (reason !== undefined) return { ...unknown, reason }
  if (live === undefined) return unknown
  return {
    reason: live.reason,
    position: live.position,
    aheadEstimate: live.aheadEstimate,
    estimatedStartTime: live.estimatedStartTime,
    estimatedCompletionTime: live.estimatedEndTime,
  }
}

/** Whether only the controller can say why the job waits. */
export function needsLeader(row: WaitingFacts): boolean {
  return isWaiting(row) && writtenReason(row.conditions) === undefined
}

const unknown: QueueView = {
  reason: 'Unknown',
  position: null,
  aheadEstimate: null,
  estimatedStartTime: null,
  estimatedCompletionTime: null,
}

function isWaiting({ state }: WaitingFacts): boolean {
  return state === 'Accepting' || state === 'Pending'
}

type Written = { readonly type: string; readonly reason: string; readonly says: PendingReason }

/** Conditions that explain the waiting by themselves; the first that a job has counts. */
const written: readonly Written[] = [
  { type: 'ModelReady', reason: 'ModelLoading', says: 'ModelLoading' },
  { type: 'ModelReady', reason: 'ModelNotFound', says: 'ModelNotReady' },
  { type: 'ModelReady', reason: 'ModelNotReady', says: 'ModelNotReady' },
  { type: 'ModelReady', reason: 'UnsupportedTask', says: 'ModelNotReady' },
  { type: 'ModelReady', reason: 'NotVisible', says: 'ModelNotReady' },
  { type: 'CreditsReserved', reason: 'InsufficientCredits', says: 'InsufficientCredits' },
  { type: 'CreditsReserved', reason: 'HoldLimit', says: 'HoldLimit' },
  { type: 'Admitted', reason: 'Suspended', says: 'Suspended' },
]

function writtenReason(conditions: readonly Condition[]): PendingReason | undefined {
  const found = written.find(({ type, reason }) =>
    conditions.some((one) => one.type === type && one.reason === reason && one.status !== 'True'),
  )
  return found?.says
}
