import type { AttemptView, PooledView } from '../../../src/controller/generation-job/observed.ts'
import type { PoolAnswers } from '../../../src/controller/generation-job/pool-watcher.ts'
import type { GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import { aCondition, createdMs, runningStatus, withCondition } from './builders.ts'

/** An attempt in a slot of a pool pod; `after` in seconds since the creation of the job. */

export const poolPod = { namespace: 'vision', pool: 'warm', ip: '127.9.9.9' }

export const slot = {
  pod: poolPod,
  podName: 'pool-warm-5d-x',
  podUID: 'pod-9',
  nodeName: 'node-1',
  runner: 'runner-1',
}

export function answersAt(after: number, over: Partial<PoolAnswers> = {}): PoolAnswers {
  return { state: 'Running', startedMs: createdMs + after * 1000, isCancelling: false, ...over }
}

export const assigning: PoolAnswers = { state: 'Assigning', isCancelling: false }

/** Runs since second 10, unless told otherwise. */
export function aPooled(over: Partial<PooledView> = {}): PooledView {
  const { podName, podUID, runner } = slot
  return {
    podName,
    podUID,
    runner,
    address: poolPod,
    pod: 'Runs',
    answers: answersAt(10),
    ...over,
  }
}

export function aPooledAttempt(over: Partial<PooledView> = {}, number = 1): AttemptView {
  return { number, pods: [], pooled: aPooled(over) }
}

/** The status right after the slot was given, before anything is known of the attempt. */
export function assignedStatus(over: GenerationJobStatus = {}): GenerationJobStatus {
  const { podName, podUID, nodeName, runner } = slot
  const starting = aCondition(
    'PodsReady',
    'False/Starting',
    'The job is handed over to a pool pod.',
  )
  const { startTime: _, ...status } = withCondition(runningStatus(), starting)
  const attempt = { number: 1, pool: 'warm', podName, podUID, nodeName, runner }
  return { ...status, attempt, ...over }
}
