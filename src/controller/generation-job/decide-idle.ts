import type { ConditionDraft } from '../conditions.ts'
import type { AttemptState } from './attempt.ts'
import { recorded } from './decide-live.ts'
import type { Decision } from './decision.ts'
import { isBackingOff, modelsAreReady, modelSetOf, requestOf } from './eligibility.ts'
import {
  admitted,
  creditsCondition,
  isHeld,
  modelCondition,
  podsNotRunning,
  queuedCondition,
  running,
  suspended,
} from './job-conditions.ts'
import type { Observed } from './observed.ts'
import { condition, keptCondition, writeStatus } from './status.ts'

/** Nothing runs: wait for credits, model, resume, the end of a pause or a place; or start. */
export function decideIdle(
  observed: Observed,
  state: AttemptState,
  settings: { readonly allowCpu: boolean },
): Decision {
  if (isReadyToStart(observed)) return startAttempt(observed, state, settings)
  const conditions = [
    creditsCondition(observed),
    waitingCondition(observed),
    modelCondition(observed),
    podsNotRunning(observed, state),
    running,
  ]
  return { actions: writeStatus(observed, { conditions }) }
}

function isReadyToStart(observed: Observed): boolean {
  const { job, place, nowMs } = observed
  return (
    isHeld(observed) &&
    !job.spec.suspend &&
    modelsAreReady(job, observed) &&
    !isBackingOff(job, nowMs) &&
    place.kind === 'Admitted'
  )
}

function waitingCondition(observed: Observed): ConditionDraft {
  if (observed.job.spec.suspend) return suspended
  const kept = keptCondition(observed, 'Admitted')
  // A pause is not worth two more writes: the job is first in line again when it ends.
  if (isBackingOff(observed.job, observed.nowMs) && kept?.status === 'True') return kept
  return queuedCondition(observed)
}

/** The Job comes first: its name tells the number again if the status cannot be written. */
function startAttempt(
  observed: Observed,
  state: AttemptState,
  { allowCpu }: { readonly allowCpu: boolean },
): Decision {
  const { job, clusterGpus } = observed
  const models = modelSetOf(observed)
  if (models === undefined) return { actions: [] }
  const number = state.kind === 'None' ? 1 : state.attempt.number + 1
  const { gpus } = requestOf(models, { allowCpu, clusterGpus })
  const conditions = [
    creditsCondition(observed),
    admitted,
    modelCondition(observed),
    condition({ type: 'PodsReady', status: 'False', reason: 'Starting' }),
    running,
  ]
  const message = `Attempt ${number} starts with ${gpus} GPUs.`
  return {
    actions: [
      { kind: 'CreateAttempt', job, ...models, number, gpus },
      ...writeStatus(observed, {
        conditions,
        fields: { attempt: { number }, retryTime: undefined },
      }),
      recorded({ type: 'Normal', reason: 'Admitted', message }),
    ],
  }
}
