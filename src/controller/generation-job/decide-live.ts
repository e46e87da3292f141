import type {
  AttemptEnd,
  GenerationJob,
  GenerationJobStatus,
} from '../../shared/crd/generation-job.ts'
import type { ConditionDraft } from '../conditions.ts'
import { isSuspending, podOf } from './attempt.ts'
import type { Action, Decision, EventNote } from './decision.ts'
import {
  admitted,
  creditsCondition,
  modelWasReady,
  podsCondition,
  running,
  suspended,
} from './job-conditions.ts'
import type { AttemptView, Observed } from './observed.ts'
import { writeStatus } from './status.ts'

/** An attempt is under way: tell about its pod, and end it when the job is suspended. */
export function decideLive(observed: Observed, attempt: AttemptView): Decision {
  const { job } = observed
  const conditions = liveConditions(observed, attempt)
  const fields = attemptFields(observed, attempt)
  return {
    actions: [
      ...writeStatus(observed, { conditions, fields }),
      ...(job.spec.suspend ? endAttempt(attempt) : []),
      ...(hasJustStarted(observed, fields) ? [recorded(startedNote(fields))] : []),
    ],
  }
}

function hasJustStarted({ job }: Observed, { attempt }: Partial<GenerationJobStatus>): boolean {
  const written = job.status?.attempt
  const wasStarted = written?.number === attempt?.number && written?.startTime !== undefined
  return attempt?.startTime !== undefined && !wasStarted
}

export function liveConditions(observed: Observed, attempt: AttemptView): ConditionDraft[] {
  return [
    creditsCondition(observed),
    isSuspending(observed, attempt) ? suspended : admitted,
    modelWasReady,
    podsCondition(observed, attempt),
    running,
  ]
}

/**
 * A pod is written down as soon as it has a Node: from then on the api serves it. `end` is how the
 * attempt ended, for one whose end is concluded now.
 */
export function attemptFields(
  { job }: Pick<Observed, 'job'>,
  attempt: AttemptView,
  end?: AttemptEnd,
): Partial<GenerationJobStatus> {
  const written = writtenAttempt(job, attempt.number, end)
  const pod = podOf(job, attempt)
  // A pause that is still written down was before this attempt.
  if (pod?.nodeName === undefined) return { attempt: written, retryTime: undefined }
  const startTime = written.startTime ?? pod.startedTime
  const { name: podName, uid: podUID, nodeName } = pod
  return {
    attempt: { ...written, podName, podUID, nodeName, startTime },
    startTime: job.status?.startTime ?? startTime,
    retryTime: undefined,
  }
}

/** An end that was written down stays. */
function writtenAttempt({ status }: GenerationJob, number: number, end: AttemptEnd | undefined) {
  const known = status?.attempt?.number === number ? status.attempt : { number }
  return end === undefined ? known : { ...known, outcome: end }
}

/** Nothing to do when it is being deleted, or somebody deleted it and left its pod behind. */
export function endAttempt({ job }: AttemptView): readonly Action[] {
  if (job === undefined || job.deleting) return []
  return [{ kind: 'DeleteAttempt', name: job.name, uid: job.uid }]
}

export function recorded(event: EventNote): Action {
  return { kind: 'RecordEvent', event }
}

function startedNote({ attempt }: Partial<GenerationJobStatus>): EventNote {
  const message = `Pod ${attempt?.podName} of attempt ${attempt?.number} started.`
  return { type: 'Normal', reason: 'Started', message }
}
