import type { GenerationJobReason } from '../../shared/crd/conditions.ts'
import { type GenerationJob, isPictureTask } from '../../shared/crd/generation-job.ts'
import { findCondition } from '../conditions.ts'
import { queueFault } from '../kueue/quota-queue.ts'
import { ATTEMPT_NUMBER_MAX, DISRUPTIONS_MAX } from '../limits.ts'
import {
  type AttemptOutcome,
  type AttemptState,
  isSuspending,
  outcomeOf,
  outcomeOfPooled,
  podOf,
} from './attempt.ts'
import type { Facts, JobPlace } from './observed.ts'
import { activeMs, firstStartMs, queueDeadlineMs } from './times.ts'

export type EndReason = Exclude<GenerationJobReason['Succeeded'], 'Running'>

/** The job is to end, and why. Its running attempt is ended first. */
export type Verdict = { readonly reason: EndReason; readonly message: string }

export type CheckInputs = {
  readonly facts: Facts
  readonly state: AttemptState
  /** Of an attempt that is over and whose report was asked for. */
  readonly outcome?: AttemptOutcome | undefined
  /** Only the message of a verdict depends on it. */
  readonly place?: JobPlace | undefined
}

type Check = {
  readonly name: string
  readonly check: (inputs: CheckInputs) => Verdict | undefined
}

/** In this order: a finished picture is kept even when a cancel came at the last moment. */
const endChecks: readonly Check[] = [
  { name: 'completed', check: checkCompleted },
  { name: 'cancelled', check: checkCancelled },
  { name: 'invalidInput', check: checkInvalidInput },
  { name: 'execution', check: checkExecution },
  { name: 'quotaQueue', check: checkQuotaQueue },
  { name: 'hold', check: checkHold },
  { name: 'activeDeadline', check: checkActiveDeadline },
  { name: 'queueTimeout', check: checkQueueTimeout },
  { name: 'backoffLimit', check: checkBackoffLimit },
  { name: 'attemptNumber', check: checkAttemptNumber },
]

export function firstVerdict(inputs: CheckInputs): Verdict | undefined {
  for (const { check } of endChecks) {
    const verdict = check(inputs)
    if (verdict !== undefined) return verdict
  }
  return undefined
}

/** What the end of the current attempt means, once its report is known. */
export function knownOutcome(facts: Facts, state: AttemptState): AttemptOutcome | undefined {
  if (state.kind !== 'Over' || facts.report?.kind !== 'Answered') return undefined
  const { report } = facts.report.value
  const { pooled } = state.attempt
  if (pooled !== undefined) return outcomeOfPooled(pooled, report)
  return outcomeOf(podOf(facts.job, state.attempt), report)
}

/**
 * Whether what the attempt handed in must be known: when it is over, and when the job ends in the
 * pause after it failed, because then no other attempt's pictures take the place of its own.
 */
export function needsReport(inputs: CheckInputs): boolean {
  const { facts, state } = inputs
  if (state.kind === 'Over') return true
  const hasFailed = facts.job.status?.attempt?.outcome === 'Failed'
  return state.kind === 'Accounted' && hasFailed && firstVerdict(inputs) !== undefined
}

function checkCompleted({ outcome }: CheckInputs): Verdict | undefined {
  if (outcome?.kind !== 'Completed') return undefined
  return { reason: 'Completed', message: outcome.message }
}

function checkCancelled({ facts }: CheckInputs): Verdict | undefined {
  if (!facts.job.spec.cancel) return undefined
  return { reason: 'Cancelled', message: 'The job was cancelled.' }
}

function checkInvalidInput({ outcome }: CheckInputs): Verdict | undefined {
  if (outcome?.kind !== 'InvalidInput') return undefined
  return { reason: 'InvalidInput', message: outcome.message }
}

function checkExecution({ facts, state }: CheckInputs): Verdict | undefined {
  if (state.kind !== 'None') return undefined
  const message = executionFault(facts.job)
  return message === undefined ? undefined : { reason: 'InvalidInput', message }
}

/** What keeps the job from ever being served in the way that it asks for, naming the field. */
function executionFault({ spec: { execution, inputs, task } }: GenerationJob): string | undefined {
  if (execution === 'External') {
    return 'spec.execution: External is not served by this release; use Auto.'
  }
  if (execution !== 'Pooled') return undefined
  if (!isPictureTask(task)) return `spec.task: no pool does ${task}; use execution Dedicated.`
  const index = (inputs ?? []).findIndex(({ configMapRef }) => configMapRef !== undefined)
  if (index < 0) return undefined
  const field = `spec.inputs[${index}].configMapRef`
  return `${field}: a pool pod cannot read ConfigMaps; use an artifact, or execution Dedicated.`
}

function checkQuotaQueue({ facts, state }: CheckInputs): Verdict | undefined {
  const queue = facts.kueue?.queue
  if (queue === undefined || state.kind !== 'None') return undefined
  const message = queueFault(queue)
  return message === undefined ? undefined : { reason: 'InvalidInput', message }
}

function checkHold({ facts }: CheckInputs): Verdict | undefined {
  if (facts.hold?.answer.kind !== 'Answered') return undefined
  const { state, message } = facts.hold.answer.value
  if (state === 'Refused') return { reason: 'InvalidInput', message }
  if (state === 'Ended') return { reason: 'Cancelled', message }
  return undefined
}

function checkActiveDeadline({ facts, state }: CheckInputs): Verdict | undefined {
  const limitMs = facts.job.spec.activeDeadlineSeconds * 1000
  if (activeMs(facts.job, state, facts.nowMs) < limitMs) return undefined
  const message = `spec.activeDeadlineSeconds: ${limitMs / 1000} s are used up.`
  return { reason: 'DeadlineExceeded', message }
}

/** Counts until the first pod starts, suspended or not: a hold must not stay open for ever. */
function checkQueueTimeout({ facts, state, place }: CheckInputs): Verdict | undefined {
  const { job, nowMs } = facts
  const dueMs = queueDeadlineMs(job)
  const startMs = firstStartMs(job, state) ?? Infinity
  if (nowMs < dueMs || startMs <= dueMs) return undefined
  const message = `No pod started within ${job.spec.queueTimeoutSeconds} s of creation.`
  if (lacksCredits(job)) return { reason: 'InsufficientCredits', message }
  return { reason: 'QueueTimeout', message: [message, ...hopelessness(place)].join(' ') }
}

/** What no end of anybody's job would have changed: raising the timeout would not help. */
function hopelessness(place: JobPlace | undefined): readonly string[] {
  if (place?.kind !== 'Queued' || place.cause === 'Turn') return []
  return [hopelessCauses[place.cause]]
}

const hopelessCauses = {
  TooLarge: 'No Node is large enough for the resources of the Model, whoever else runs.',
  NoPool: 'spec.execution is Pooled, and no ModelPool has the Model and LoRAs of the job.',
} as const

function lacksCredits({ status }: GenerationJob): boolean {
  const reserved = findCondition(status?.conditions, 'CreditsReserved')
  return reserved?.status === 'False' && reserved.reason === 'InsufficientCredits'
}

function checkBackoffLimit({ facts, state, outcome }: CheckInputs): Verdict | undefined {
  if (outcome === undefined || state.kind !== 'Over') return undefined
  if (isSuspending(facts, state.attempt)) return undefined
  const { failures, disruptions } = countFaults(facts.job, outcome)
  if (failures <= facts.job.spec.backoffLimit && disruptions <= DISRUPTIONS_MAX) return undefined
  const message = `${failures} attempts failed, ${disruptions} were interrupted. ${outcome.message}`
  return { reason: 'BackoffLimitExceeded', message }
}

function countFaults({ status }: GenerationJob, outcome: AttemptOutcome) {
  const { failedAttempts = 0, disruptedAttempts = 0 } = status ?? {}
  return {
    failures: failedAttempts + (outcome.kind === 'Failed' ? 1 : 0),
    disruptions: disruptedAttempts + (isDisruption(outcome) ? 1 : 0),
  }
}

export function isDisruption({ kind, isRefused = false }: AttemptOutcome): boolean {
  return kind === 'Disrupted' && !isRefused
}

/** Suspending and resuming for ever would use up the numbers. */
function checkAttemptNumber({ state }: CheckInputs): Verdict | undefined {
  if (state.kind !== 'Accounted' || state.attempt.number < ATTEMPT_NUMBER_MAX) return undefined
  return { reason: 'BackoffLimitExceeded', message: `${ATTEMPT_NUMBER_MAX} attempts were made.` }
}
