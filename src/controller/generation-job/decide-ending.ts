import { timestamp } from '../../shared/clock.ts'
import {
  type AttemptEnd,
  deliversNothing,
  type GenerationJobStatus,
} from '../../shared/crd/generation-job.ts'
import {
  type AttemptOutcome,
  type AttemptState,
  isSuspending,
  outputsOf,
  podOf,
} from './attempt.ts'
import { attemptFields, endAttempt, liveConditions } from './decide-live.ts'
import type { Verdict } from './checks.ts'
import type { Decision } from './decision.ts'
import { isHeld, modelCondition, modelWasReady } from './job-conditions.ts'
import type { AttemptView, Observed } from './observed.ts'
import { condition, keptCondition, writeStatus } from './status.ts'
import { activeSecondsAfter } from './times.ts'

export type Ending = {
  readonly observed: Observed
  readonly state: AttemptState
  readonly verdict: Verdict
  /** Of an attempt whose end nobody has drawn conclusions from yet. */
  readonly outcome?: AttemptOutcome | undefined
}

/** Ends the running attempt first; when nothing runs, writes the verdict, once and for all. */
export function decideEnding({ observed, state, verdict, outcome }: Ending): Decision {
  if (state.kind === 'Live') {
    const fields = attemptFields(observed, state.attempt)
    const conditions = liveConditions(observed, state.attempt)
    return {
      actions: [
        ...writeStatus(observed, { conditions, fields }),
        ...endAttempt(observed, state.attempt),
      ],
    }
  }
  const isSuccess = verdict.reason === 'Completed'
  const { message } = succeeded(verdict)
  return {
    actions: [
      ...writeStatus(observed, {
        conditions: endConditions(observed, state, verdict),
        fields: endFields(observed, state, endOf({ observed, state, verdict, outcome })),
      }),
      {
        kind: 'RecordEvent',
        event: { ...verdict, message, type: isSuccess ? 'Normal' : 'Warning' },
      },
    ],
    outcome: verdict.reason,
  }
}

function endConditions(observed: Observed, state: AttemptState, verdict: Verdict) {
  const reserved = isHeld(observed)
    ? condition({ type: 'CreditsReserved', status: 'True', reason: 'Reserved' })
    : condition({ type: 'CreditsReserved', status: 'False', reason: 'Ended' })
  return [
    reserved,
    condition({ type: 'Admitted', status: 'False', reason: 'Ended' }),
    state.kind === 'Over' ? modelWasReady : lastKnownModel(observed),
    condition({ type: 'PodsReady', status: 'False', reason: 'Ended' }),
    succeeded(verdict),
  ]
}

/** A pod that has nothing to add leaves it to the reason's own sentence. */
function succeeded({ reason, message }: Verdict) {
  return condition({
    type: 'Succeeded',
    status: reason === 'Completed' ? 'True' : 'False',
    reason,
    message: message === '' ? undefined : message,
  })
}

function lastKnownModel(observed: Observed) {
  return keptCondition(observed, 'ModelReady') ?? modelCondition(observed)
}

/**
 * How the last attempt ended, which decides what it may be charged for: one that a cancel or a
 * limit of its job stopped ends as one that its Node lost, but only the last is nobody's doing. A
 * pod that vanished without a report counts as lost.
 */
function endOf({ observed, state, verdict, outcome }: Ending): AttemptEnd | undefined {
  if (state.kind !== 'Over' || outcome === undefined) return undefined
  if (outcome.kind === 'Completed' || outcome.kind === 'InvalidInput') return outcome.kind
  if (isSuspending(observed, state.attempt)) return 'Suspended'
  if (outcome.kind === 'Failed') return 'Failed'
  if (isLost(observed, state.attempt)) return 'Disrupted'
  return verdict.reason === 'Cancelled' ? 'Cancelled' : 'Failed'
}

function isLost({ job, report }: Observed, attempt: AttemptView): boolean {
  const pod = podOf(job, attempt)
  if (pod !== undefined) return pod.disrupted
  return report?.kind !== 'Answered' || report.value.report === null
}

function endFields(
  observed: Observed,
  state: AttemptState,
  end: AttemptEnd | undefined,
): Partial<GenerationJobStatus> {
  const { job, report, nowMs } = observed
  const attempted = state.kind === 'Over' || state.kind === 'Accounted'
  const fields = attempted ? attemptFields(observed, state.attempt, end) : {}
  const isKept = report?.kind === 'Answered' && !deliversNothing(fields.attempt?.outcome)
  const outputs = isKept ? outputsOf(report.value) : []
  return {
    ...fields,
    ...(attempted ? { activeSeconds: activeSecondsAfter(job, state, nowMs) } : {}),
    retryTime: undefined,
    completionTime: timestamp(nowMs),
    outputs: outputs.length === 0 ? undefined : outputs,
    summary: `${outputs.length}/${wantedPictures(observed)}`,
  }
}

function wantedPictures({ job, model }: Observed): number {
  const { batchCount, batchSize } = { ...model?.spec.defaults, ...job.spec.parameters }
  return (batchCount ?? 1) * (batchSize ?? 1)
}
