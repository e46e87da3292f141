import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import {
  runSecondsOf,
  type RunTimes,
  startSecondsOf,
} from '../../shared/domain/admission/run-times.ts'
import type { ExplainedJob } from '../../shared/wire/queue.ts'
import { findCondition, isTrue } from '../conditions.ts'
import { allowedTime, isHeldByQuota } from '../generation-job/attempt.ts'
import { isBackingOff, isTerminal } from '../generation-job/eligibility.ts'
import type { AttemptView } from '../generation-job/observed.ts'
import { openPooledAttempt } from '../generation-job/pooled-view.ts'
import { POD_STUCK_MS } from '../limits.ts'

export type OutsideQueue = {
  readonly job: GenerationJob
  /** In pods of its own. */
  readonly attempts: readonly AttemptView[]
  readonly work: number | undefined
  readonly times: RunTimes
  readonly nowMs: number
}

/** Why a job that is not in the queue has not started; undefined when it waits for nothing here. */
export function explainOutside(outside: OutsideQueue): ExplainedJob | undefined {
  const { job, nowMs } = outside
  const { uid } = job.metadata
  if (isTerminal(job) || isTrue(job.status?.conditions, 'PodsReady')) return undefined
  if (isBackingOff(job, nowMs)) return { ...unknown, uid, reason: 'BackingOff' }
  if (openPooledAttempt(job) !== undefined) {
    return { ...startingIn('Slot', outside), uid, reason: 'Starting' }
  }
  const attempt = outside.attempts.find(
    ({ job: own, pods }) => own !== undefined || pods.length > 0,
  )
  if (attempt === undefined) return undefined
  const isHeld = isHeldByQuota(attempt) || isRefused(attempt, nowMs)
  if (isHeld) return { ...unknown, uid, reason: 'WaitingForQuota' }
  return { ...startingIn('Node', outside), uid, reason: 'Starting' }
}

const unknown = {
  position: null,
  aheadEstimate: null,
  estimatedStartTime: null,
  estimatedEndTime: null,
  basis: 'Unknown',
} as const

/** A Job that was made long ago and has no pod. */
function isRefused(attempt: AttemptView, nowMs: number): boolean {
  const time = allowedTime(attempt)
  const isMissing = time !== undefined && attempt.pods.length === 0
  return isMissing && nowMs >= Date.parse(time) + POD_STUCK_MS
}

type Told = Pick<ExplainedJob, Exclude<keyof ExplainedJob, 'uid' | 'reason'>>

/** A slot begins at once; a pod takes as long as those before it took. */
function startingIn(kind: 'Slot' | 'Node', { job, work, times, nowMs }: OutsideQueue): Told {
  const model = job.spec.modelRef.name
  const admitted = findCondition(job.status?.conditions, 'Admitted')
  const startSeconds = kind === 'Slot' ? 0 : startSecondsOf(times, { model, kind })
  if (admitted?.status !== 'True' || startSeconds === undefined) return unknown
  const placedMs = Date.parse(admitted.lastTransitionTime)
  const startMs = Math.max(nowMs, placedMs + startSeconds * 1000)
  const seconds = work === undefined ? undefined : runSecondsOf(times, { model, kind, work })
  return {
    ...unknown,
    estimatedStartTime: toTime(startMs),
    estimatedEndTime: seconds === undefined ? null : toTime(startMs + seconds * 1000),
    basis: 'Planned',
  }
}

export function toTime(ms: number): string {
  return new Date(ms).toISOString()
}
