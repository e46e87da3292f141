import { unreachable } from '../../shared/assert.ts'
import type { ConditionDraft } from '../conditions.ts'
import type { AttemptState } from './attempt.ts'
import { recorded, slotAssignment } from './decide-live.ts'
import type { Decision } from './decision.ts'
import { isBackingOff, modelsAreReady, modelSetOf, requestOf } from './eligibility.ts'
import {
  admitted,
  creditsCondition,
  handedOver,
  isHeld,
  modelCondition,
  podsNotRunning,
  queuedCondition,
  running,
  suspended,
} from './job-conditions.ts'
import type { JobPlace, Observed, SlotPlace } from './observed.ts'
import { condition, keptCondition, writeStatus } from './status.ts'

/** Nothing runs: wait for credits, model, resume, the end of a pause or a place; or start. */
export function decideIdle(
  observed: Observed,
  state: AttemptState,
  settings: { readonly allowCpu: boolean },
): Decision {
  const { place } = observed
  if (place.kind !== 'Queued' && isReadyToStart(observed)) {
    return startAttempt(observed, state, { ...settings, place })
  }
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
  const { job, nowMs } = observed
  return (
    isHeld(observed) &&
    !job.spec.suspend &&
    modelsAreReady(job, observed) &&
    !isBackingOff(job, nowMs)
  )
}

function waitingCondition(observed: Observed): ConditionDraft {
  if (observed.job.spec.suspend) return suspended
  const kept = keptCondition(observed, 'Admitted')
  // A pause is not worth two more writes: the job is first in line again when it ends.
  if (isBackingOff(observed.job, observed.nowMs) && kept?.status === 'True') return kept
  return queuedCondition(observed)
}

type Placed = Exclude<JobPlace, { kind: 'Queued' }>

function startAttempt(
  observed: Observed,
  state: AttemptState,
  { place, allowCpu }: { readonly place: Placed; readonly allowCpu: boolean },
): Decision {
  const number = state.kind === 'None' ? 1 : state.attempt.number + 1
  switch (place.kind) {
    case 'Node':
      return startOnNode(observed, { number, allowCpu })
    case 'Slot':
      return startInSlot(observed, { number, slot: place.slot })
    default:
      return unreachable(place)
  }
}

/** The Job comes first: its name tells the number again if the status cannot be written. */
function startOnNode(
  observed: Observed,
  { number, allowCpu }: { readonly number: number; readonly allowCpu: boolean },
): Decision {
  const { job, clusterGpus } = observed
  const models = modelSetOf(observed)
  if (models === undefined) return { actions: [] }
  const { gpus } = requestOf(models, { allowCpu, clusterGpus })
  const starting = condition({ type: 'PodsReady', status: 'False', reason: 'Starting' })
  const conditions = startConditions(observed, starting)
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

/**
 * The status comes first: the pod may do nothing before the api can see there that the job is its
 * own, and a controller that starts anew learns from it whom to ask.
 */
function startInSlot(
  observed: Observed,
  { number, slot }: { readonly number: number; readonly slot: SlotPlace },
): Decision {
  const { pod, podName, podUID, nodeName, runner } = slot
  const attempt = { number, pool: pod.pool, podName, podUID, nodeName, runner }
  const conditions = startConditions(observed, handedOver)
  const message = `Attempt ${number} goes to pod ${podName} of ModelPool ${pod.pool}.`
  return {
    actions: [
      ...writeStatus(observed, { conditions, fields: { attempt, retryTime: undefined } }),
      { kind: 'Assign', assignment: slotAssignment(observed.job, { number, runner, podUID, pod }) },
      recorded({ type: 'Normal', reason: 'Admitted', message }),
    ],
  }
}

function startConditions(observed: Observed, pods: ConditionDraft): readonly ConditionDraft[] {
  return [creditsCondition(observed), admitted, modelCondition(observed), pods, running]
}
