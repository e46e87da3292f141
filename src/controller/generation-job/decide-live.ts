import type {
  AttemptEnd,
  GenerationJob,
  GenerationJobStatus,
} from '../../shared/crd/generation-job.ts'
import type { ConditionDraft } from '../conditions.ts'
import { isSuspending, podOf, startedTimeOf } from './attempt.ts'
import { type Action, type Decision, deleteAttempt, type EventNote } from './decision.ts'
import {
  admittedCondition,
  creditsCondition,
  modelOfAttempt,
  podsCondition,
  running,
} from './job-conditions.ts'
import type { AttemptView, Observed } from './observed.ts'
import { jobIdOf } from './names.ts'
import { hasLostQuota, pausedFields } from './lost-quota.ts'
import type { SlotAssignment } from './pool-watcher.ts'
import { writeStatus } from './status.ts'
import { isWorthTelling } from './times.ts'

/** An attempt is under way: tell about its pod, and end it when the job is suspended. */
export function decideLive(observed: Observed, attempt: AttemptView): Decision {
  const { job } = observed
  const conditions = liveConditions(observed, attempt)
  const fields = { ...attemptFields(observed, attempt), ...pausedFields(observed, attempt) }
  const written = writeStatus(observed, { conditions, fields })
  if (attempt.pooled !== undefined) {
    return { actions: [...written, ...lookAfterSlot(observed, attempt)] }
  }
  return {
    actions: [
      ...written,
      ...(job.spec.suspend || hasLostQuota(observed, attempt) ? endAttempt(observed, attempt) : []),
      ...(hasJustStarted(observed, fields) ? [recorded(startedNote(fields))] : []),
    ],
  }
}

/** After a restart of the controller the pod is told once more: it knows what it has already. */
function lookAfterSlot(observed: Observed, attempt: AttemptView): readonly Action[] {
  if (isSuspending(observed, attempt)) return endAttempt(observed, attempt)
  const assignment = assignmentOf(observed, attempt)
  const isAsked = attempt.pooled?.answers !== undefined
  return [
    ...endStray(attempt),
    ...(isAsked || assignment === undefined ? [] : [{ kind: 'Assign', assignment } as const]),
  ]
}

/** What the pool pod is told; undefined while the caches do not know where it is. */
function assignmentOf({ job }: Observed, attempt: AttemptView): SlotAssignment | undefined {
  const { address, runner, podUID } = attempt.pooled ?? {}
  if (address === undefined || runner === undefined || podUID === undefined) return undefined
  return slotAssignment(job, { number: attempt.number, runner, podUID, pod: address })
}

type Slot = Pick<SlotAssignment, 'runner' | 'podUID' | 'pod' | 'instead'> & {
  readonly number: number
}

export function slotAssignment(job: GenerationJob, { number, ...slot }: Slot): SlotAssignment {
  const { uid } = job.metadata
  return { ...slot, uid, attempt: number, jobId: jobIdOf(job), model: job.spec.modelRef.name }
}

function hasJustStarted({ job }: Observed, { attempt }: Partial<GenerationJobStatus>): boolean {
  const written = job.status?.attempt
  const wasStarted = written?.number === attempt?.number && written?.startTime !== undefined
  return attempt?.startTime !== undefined && !wasStarted
}

export function liveConditions(observed: Observed, attempt: AttemptView): ConditionDraft[] {
  return [
    creditsCondition(observed),
    admittedCondition(observed, attempt),
    modelOfAttempt(observed, attempt),
    podsCondition(observed, attempt),
    running,
  ]
}

/**
 * A pod is written down as soon as it has a Node: from then on the api serves it. `end` is how the
 * attempt ended, for one whose end is concluded now.
 */
export function attemptFields(
  { job, nowMs }: Pick<Observed, 'job' | 'nowMs'>,
  attempt: AttemptView,
  end?: AttemptEnd,
): Partial<GenerationJobStatus> {
  const known = writtenAttempt(job, attempt.number, end)
  const isTold = attempt.pooled === undefined || end !== undefined || isWorthTelling(attempt, nowMs)
  const written = { ...known, ...(isTold ? podFields(job, attempt, known) : {}) }
  return {
    attempt: written,
    startTime: job.status?.startTime ?? written.startTime,
    // A pause that is still written down was before this attempt.
    retryTime: undefined,
  }
}

type AttemptStatus = NonNullable<GenerationJobStatus['attempt']>

/** Of a slot everything but the start was written when it was given. */
function podFields(
  job: GenerationJob,
  attempt: AttemptView,
  written: AttemptStatus,
): Partial<AttemptStatus> {
  const startTime = written.startTime ?? startedTimeOf(job, attempt)
  const pod = podOf(job, attempt)
  if (attempt.pooled !== undefined) return { startTime }
  if (pod?.nodeName === undefined) return {}
  return { podName: pod.name, podUID: pod.uid, nodeName: pod.nodeName, startTime }
}

/** An end that was written down stays. */
function writtenAttempt(
  { status }: GenerationJob,
  number: number,
  end: AttemptEnd | undefined,
): AttemptStatus {
  const known = status?.attempt?.number === number ? status.attempt : { number }
  return end === undefined ? known : { ...known, outcome: end }
}

/** Nothing to do when it is being ended already. */
export function endAttempt(observed: Observed, attempt: AttemptView): readonly Action[] {
  const stray = endStray(attempt)
  if (attempt.pooled === undefined || attempt.pooled.answers?.isCancelling === true) return stray
  const assignment = assignmentOf(observed, attempt)
  return assignment === undefined ? stray : [...stray, { kind: 'CancelAssignment', assignment }]
}

/**
 * Ends the attempt's own Job. Next to a slot it is one that a stale cache has led to. Nothing to do
 * when somebody deleted it and left its pod behind.
 */
function endStray({ job }: AttemptView): readonly Action[] {
  if (job === undefined || job.deleting) return []
  return [deleteAttempt(job)]
}

export function recorded(event: EventNote): Action {
  return { kind: 'RecordEvent', event }
}

function startedNote({ attempt }: Partial<GenerationJobStatus>): EventNote {
  const message = `Pod ${attempt?.podName} of attempt ${attempt?.number} started.`
  return { type: 'Normal', reason: 'Started', message }
}
