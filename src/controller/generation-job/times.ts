import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import {
  ACTIVE_SECONDS_MAX,
  POD_STUCK_MS,
  POOL_DOUBT_MS,
  POOL_RUNNING_AFTER_MS,
  POOL_SILENCE_MS,
  RECHECK_MAX_MS,
  RECHECK_MIN_MS,
  RETRY_MAX_MS,
} from '../limits.ts'
import { allowedTime, type AttemptState, podOf, startedTimeOf } from './attempt.ts'
import type { AttemptView, Facts, PooledView } from './observed.ts'

/** Pause after the nth failure: base × 2^(n−1), at most 6 min, as for batch/v1 Jobs. */
export function retryDelayMs(failures: number, baseMs: number): number {
  return Math.min(RETRY_MAX_MS, baseMs * 2 ** (Math.max(1, failures) - 1))
}

export function queueDeadlineMs({ metadata, spec }: GenerationJob): number {
  return Date.parse(metadata.creationTimestamp) + spec.queueTimeoutSeconds * 1000
}

/** When the first pod started, or undefined. A pod that started just now counts too. */
export function firstStartMs(job: GenerationJob, state: AttemptState): number | undefined {
  const written = job.status?.startTime
  if (written !== undefined) return Date.parse(written)
  return attemptStartMs(job, state)
}

/**
 * How long the job has been active: finished attempts with the pauses after them, and the one
 * that runs. Once a job has started, a later pod that is stuck counts from its creation.
 */
export function activeMs(job: GenerationJob, state: AttemptState, nowMs: number): number {
  const before = (job.status?.activeSeconds ?? 0) * 1000
  if (state.kind !== 'Live' && state.kind !== 'Over') return before
  const sinceMs = attemptStartMs(job, state) ?? createdMs(job, state)
  return sinceMs === undefined ? before : before + Math.max(0, nowMs - sinceMs)
}

function attemptStartMs(job: GenerationJob, state: AttemptState): number | undefined {
  if (state.kind !== 'Live' && state.kind !== 'Over') return undefined
  const written = job.status?.attempt
  const isWritten = written?.number === state.attempt.number
  const time = (isWritten ? written.startTime : undefined) ?? startedTimeOf(job, state.attempt)
  return time === undefined ? undefined : Date.parse(time)
}

function createdMs(job: GenerationJob, state: AttemptState): number | undefined {
  if (job.status?.startTime === undefined || state.kind === 'None') return undefined
  const created = podOf(job, state.attempt)?.createdTime
  return created === undefined ? undefined : Date.parse(created)
}

/** When the running attempt reaches spec.activeDeadlineSeconds. */
function deadlineMs(job: GenerationJob, state: AttemptState, nowMs: number): number {
  return nowMs + job.spec.activeDeadlineSeconds * 1000 - activeMs(job, state, nowMs)
}

/** status.activeSeconds once the current attempt is accounted for, with time up to `untilMs`. */
export function activeSecondsAfter(
  job: GenerationJob,
  state: AttemptState,
  untilMs: number,
): number | undefined {
  const seconds = Math.min(ACTIVE_SECONDS_MAX, Math.floor(activeMs(job, state, untilMs) / 1000))
  return seconds === 0 ? job.status?.activeSeconds : seconds
}

/** When an ended job may be deleted; undefined while it has not ended. */
export function expiryMs({ spec, status }: GenerationJob): number | undefined {
  if (status?.completionTime === undefined) return undefined
  return Date.parse(status.completionTime) + spec.ttlSecondsAfterFinished * 1000
}

export function clamp(value: number, [min, max]: readonly [number, number]): number {
  return Math.min(max, Math.max(min, value))
}

/** How long until the clock alone may change the decision, or undefined when it never will. */
export function recheckAfter(facts: Facts, state: AttemptState): number | undefined {
  const { job, nowMs, hold } = facts
  const dueTimes = [
    queueDeadlineMs(job),
    hold?.askAgainMs,
    job.status?.retryTime === undefined ? undefined : Date.parse(job.status.retryTime),
    state.kind === 'Live' ? deadlineMs(job, state, nowMs) : undefined,
    state.kind === 'Live' ? stuckMs(job, state.attempt) : undefined,
    ...(state.kind === 'Live' ? pooledDueTimes(state.attempt.pooled, nowMs) : []),
  ]
  const nextMs = Math.min(...dueTimes.map((dueMs = 0) => (dueMs > nowMs ? dueMs : Infinity)))
  if (nextMs === Infinity) return undefined
  return clamp(nextMs - nowMs, [RECHECK_MIN_MS, RECHECK_MAX_MS])
}

function pooledDueTimes(pooled: PooledView | undefined, nowMs: number) {
  if (pooled === undefined) return []
  const isDoubtful = pooled.pod === 'Doubtful' || isSilent(pooled, nowMs)
  const { startedMs = -Infinity, silentSinceMs = -Infinity } = pooled.answers ?? {}
  return [
    startedMs + POOL_RUNNING_AFTER_MS,
    silentSinceMs + POOL_SILENCE_MS,
    isDoubtful ? nowMs + POOL_DOUBT_MS : undefined,
  ]
}

/** Whether it is worth a write that an attempt in a slot runs: most end before that. */
export function isWorthTelling({ pooled }: AttemptView, nowMs: number): boolean {
  const startedMs = pooled?.answers?.startedMs
  return startedMs !== undefined && nowMs >= startedMs + POOL_RUNNING_AFTER_MS
}

/** The pod has given no usable answer for so long that it may not exist any more. */
export function isSilent({ answers }: PooledView, nowMs: number): boolean {
  const sinceMs = answers?.silentSinceMs
  return sinceMs !== undefined && nowMs >= sinceMs + POOL_SILENCE_MS
}

/** From then on a pod that still waits, or was never made, says why. */
export function stuckMs(job: GenerationJob, attempt: AttemptView): number {
  const created = podOf(job, attempt)?.createdTime ?? allowedTime(attempt)
  return created === undefined ? Infinity : Date.parse(created) + POD_STUCK_MS
}
