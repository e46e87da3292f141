import { timestamp } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { exitCodes } from '../../shared/domain/pod-contract.ts'
import type { AttemptReport, Report } from '../../shared/wire/internal.ts'
import { findCondition } from '../conditions.ts'
import type { OverCause } from './pool-watcher.ts'
import {
  type AttemptView,
  isPodTerminal,
  type Facts,
  type PodView,
  type PooledView,
} from './observed.ts'

/**
 * Where the newest attempt stands. `Over`: its pod is terminal or gone and nobody has drawn the
 * conclusions yet; `Accounted`: they are in the status and the next attempt may follow.
 */
export type AttemptState =
  | { readonly kind: 'None' }
  | { readonly kind: 'Live'; readonly attempt: AttemptView }
  | { readonly kind: 'Over'; readonly attempt: AttemptView }
  | { readonly kind: 'Accounted'; readonly attempt: AttemptView }

type AttemptInputs = Pick<Facts, 'job' | 'attempts' | 'confirmedGone'>

export function attemptState(facts: AttemptInputs): AttemptState {
  const { job, attempts, confirmedGone } = facts
  const number = currentAttemptNumber(job, attempts)
  if (number === 0) return { kind: 'None' }
  const attempt = attempts.find((candidate) => candidate.number === number) ?? { number, pods: [] }
  if (isAccounted(job, number)) return { kind: 'Accounted', attempt }
  return { kind: isOver(attempt, confirmedGone) ? 'Over' : 'Live', attempt }
}

/** A Job that exists although the status does not know it yet was made before a crash. */
export function currentAttemptNumber(job: GenerationJob, attempts: readonly AttemptView[]): number {
  return Math.max(job.status?.attempt?.number ?? 0, ...attempts.map(({ number }) => number))
}

/** Whether anything of this attempt may still use GPUs. */
export function isLive(attempt: AttemptView): boolean {
  if (isToBeResumed(attempt)) return true
  if (attempt.pods.length > 0) return !attempt.pods.every(isPodTerminal)
  return attempt.job !== undefined && !attempt.job.finished
}

/** Pods that ended because Kueue took their place do not end the Job: it would get another one. */
function isToBeResumed({ job }: AttemptView): boolean {
  return job?.quota?.suspended === true && !job.finished && !job.deleting
}

/** Kueue keeps it from having a pod; one that it had may still be ending. */
export function isHeldByQuota({ job, pods }: AttemptView): boolean {
  const isStopped = pods.every((pod) => pod.deleting || isPodTerminal(pod))
  return job?.quota?.suspended === true && isStopped
}

/** Since when Kubernetes may make its pod; undefined while it may not. */
export function allowedTime({ job }: AttemptView): string | undefined {
  return job?.quota === undefined ? job?.createdTime : job.quota.resumedTime
}

export function isUnseen({ job, pods, pooled }: AttemptView): boolean {
  return job === undefined && pods.length === 0 && pooled === undefined
}

/** The attempt has left no trace in the caches: only the API server can say that it is over. */
export function isOutOfSight(job: GenerationJob, attempts: readonly AttemptView[]): boolean {
  const number = currentAttemptNumber(job, attempts)
  const seen = attempts.some((attempt) => attempt.number === number)
  return number > 0 && !seen && !isAccounted(job, number)
}

/** Once a pod is written down for an attempt, no other one can take its part. */
export function podOf(job: GenerationJob, attempt: AttemptView): PodView | undefined {
  const written = job.status?.attempt
  if (written?.number === attempt.number && written.podUID !== undefined) {
    return attempt.pods.find(({ uid }) => uid === written.podUID)
  }
  return attempt.pods.toSorted(byAge)[0]
}

function byAge(left: PodView, right: PodView): number {
  if (left.createdTime !== right.createdTime) return left.createdTime < right.createdTime ? -1 : 1
  return left.uid < right.uid ? -1 : 1
}

function isAccounted({ status }: GenerationJob, number: number): boolean {
  return status?.attempt?.number === number && status.retryTime !== undefined
}

function isOver(attempt: AttemptView, confirmedGone: boolean): boolean {
  if (attempt.pooled !== undefined) return isPooledOver(attempt.pooled) || confirmedGone
  return isUnseen(attempt) ? confirmedGone : !isLive(attempt)
}

/** Silence is no end: the pod may go on, and two attempts must not run at once. */
export function isPooledOver({ pod, answers }: PooledView): boolean {
  return pod === 'Ended' || answers?.state === 'Over'
}

/** When the container started, or when the pool pod said that it has the job; RFC 3339. */
export function startedTimeOf(job: GenerationJob, attempt: AttemptView): string | undefined {
  const startedMs = attempt.pooled?.answers?.startedMs
  return startedMs === undefined ? podOf(job, attempt)?.startedTime : timestamp(startedMs)
}

/** The attempt ends because the job was suspended, also when it has been resumed since. */
export function isSuspending({ job }: Pick<Facts, 'job'>, attempt: AttemptView): boolean {
  if (job.spec.suspend) return true
  const wasSuspended = findCondition(job.status?.conditions, 'Admitted')?.reason === 'Suspended'
  return wasSuspended && job.status?.attempt?.number === attempt.number
}

export type AttemptOutcome = {
  readonly kind: 'Completed' | 'InvalidInput' | 'Disrupted' | 'Failed'
  readonly message: string
  /** The attempt never began: the next one need not wait at first. */
  readonly isUnbegun?: boolean | undefined
  /** Nothing was interrupted, as the pod says itself: it counts as no disruption. */
  readonly isRefused?: boolean | undefined
}

/** What the end of an attempt in a slot means: the report says it, and nothing else can. */
export function outcomeOfPooled(
  pooled: PooledView,
  report: Report | null | undefined,
): AttemptOutcome {
  if (report?.reason === undefined || report.reason === 'Cancelled') return lossOf(pooled)
  return { kind: report.reason, message: report.message }
}

function lossOf({ pod, podName, answers }: PooledView): AttemptOutcome {
  const { cause, startedMs } = answers ?? {}
  const what = cause === undefined ? (pod === 'Ended' ? 'has ended' : 'is gone') : lossWords[cause]
  const isUnbegun = cause !== undefined && startedMs === undefined
  const isRefused = isUnbegun && cause === 'Refused'
  return { kind: 'Disrupted', message: `Pool pod ${podName} ${what}.`, isUnbegun, isRefused }
}

const lossWords: Readonly<Record<OverCause, string>> = {
  Refused: 'did not take the job',
  Restarted: 'was restarted',
  Ended: 'stopped the job',
  Unknown: 'has lost the job',
}

/**
 * What the end of an attempt means. The report says it; without one the exit code does.
 * `Disrupted` is the platform's doing and does not count against backoffLimit.
 */
export function outcomeOf(
  pod: PodView | undefined,
  report: Report | null | undefined,
): AttemptOutcome {
  if (report?.reason === 'Completed') return { kind: 'Completed', message: report.message }
  if (report?.reason === 'InvalidInput') return { kind: 'InvalidInput', message: report.message }
  if (pod?.exitCode === exitCodes.invalidInput) {
    return { kind: 'InvalidInput', message: 'The pod refused its input and gave no reason.' }
  }
  return outcomeOfFault(pod, report)
}

function outcomeOfFault(
  pod: PodView | undefined,
  report: Report | null | undefined,
): AttemptOutcome {
  if (pod === undefined) return { kind: 'Disrupted', message: 'The pod vanished.' }
  if (pod.disrupted) return { kind: 'Disrupted', message: 'The pod was evicted or lost its Node.' }
  if (report?.reason === 'Failed') return { kind: 'Failed', message: report.message }
  return outcomeOfExit(pod)
}

/** 128 + SIGKILL and 128 + SIGTERM: somebody outside ended the process. */
const killedCodes: readonly number[] = [137, 143]

function outcomeOfExit(pod: PodView): AttemptOutcome {
  if (pod.outOfMemory) return { kind: 'Failed', message: 'The pod ran out of memory.' }
  if (pod.exitCode === undefined) return { kind: 'Disrupted', message: 'The pod never ran.' }
  if (pod.exitCode === exitCodes.completed) {
    return { kind: 'Failed', message: 'The pod ended without a report.' }
  }
  if (pod.exitCode === exitCodes.cancelled || killedCodes.includes(pod.exitCode)) {
    return { kind: 'Disrupted', message: 'The pod was stopped from outside.' }
  }
  return { kind: 'Failed', message: `The pod ended with exit code ${pod.exitCode}.` }
}

/** Outputs of the report, or what the api saw uploaded when the pod died without one. */
export function outputsOf(answer: AttemptReport): AttemptReport['outputs'] {
  return answer.report?.outputs ?? answer.outputs
}
