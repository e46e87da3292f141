import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { exitCodes } from '../../shared/domain/pod-contract.ts'
import type { AttemptReport, Report } from '../../shared/wire/internal.ts'
import { findCondition } from '../conditions.ts'
import { type AttemptView, isPodTerminal, type Facts, type PodView } from './observed.ts'

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
  if (attempt.pods.length > 0) return !attempt.pods.every(isPodTerminal)
  return attempt.job !== undefined && !attempt.job.finished
}

export function isUnseen(attempt: AttemptView): boolean {
  return attempt.job === undefined && attempt.pods.length === 0
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
  return isUnseen(attempt) ? confirmedGone : !isLive(attempt)
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
