import { unreachable } from '../../shared/assert.ts'
import type { ConditionDraft } from '../conditions.ts'
import type { QuotaQueue } from '../kueue/quota-queue.ts'
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
  queued,
  running,
  suspended,
} from './job-conditions.ts'
import { podsWithoutQuota, waitingForQuota } from './quota-conditions.ts'
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
  const isWorthKeeping = kept?.status === 'True' || kept?.reason === 'WaitingForQuota'
  if (isBackingOff(observed.job, observed.nowMs) && isWorthKeeping) return kept
  return queued
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
      return startOnNode(observed, { number, allowCpu, nodeName: place.nodeName })
    case 'Slot':
      return startInSlot(observed, { number, slot: place.slot })
    case 'Quota':
      return waitForQuota(observed, { number, allowCpu, queue: place.queue })
    default:
      return unreachable(place)
  }
}

/** The Job comes first: its name tells the number again if the status cannot be written. */
function startOnNode(
  observed: Observed,
  { nodeName, ...next }: NextAttempt & { readonly nodeName: string | undefined },
): Decision {
  const attempt = ownAttempt(observed, next)
  if (attempt === undefined) return { actions: [] }
  const { number } = next
  const starting = condition({ type: 'PodsReady', status: 'False', reason: 'Starting' })
  const conditions = startConditions(observed, starting)
  const message = `Attempt ${number} starts with ${attempt.gpus} GPUs.`
  return {
    actions: [
      { ...attempt, nodeName },
      ...writeStatus(observed, {
        conditions,
        fields: { attempt: { number }, retryTime: undefined },
      }),
      recorded({ type: 'Normal', reason: 'Admitted', message }),
    ],
  }
}

/** The same with a Job that has no pod before Kueue resumes it. */
function waitForQuota(
  observed: Observed,
  { queue, ...next }: NextAttempt & { readonly queue: QuotaQueue },
): Decision {
  const attempt = ownAttempt(observed, next)
  if (attempt === undefined) return { actions: [] }
  const { number } = next
  const pods = podsWithoutQuota(number)
  const conditions = [...startConditions(observed, pods), waitingForQuota(observed)]
  const message = `Attempt ${number} waits in LocalQueue ${queue.localQueue}.`
  return {
    actions: [
      { ...attempt, queue },
      ...writeStatus(observed, {
        conditions,
        fields: { attempt: { number }, retryTime: undefined },
      }),
      recorded({ type: 'Normal', reason: 'WaitingForQuota', message }),
    ],
  }
}

type NextAttempt = { readonly number: number; readonly allowCpu: boolean }

/** In a pod of its own; undefined while one of its Models is missing. */
function ownAttempt(observed: Observed, { number, allowCpu }: NextAttempt) {
  const { job, clusterGpus } = observed
  const models = modelSetOf(observed)
  if (models === undefined) return undefined
  const { gpus } = requestOf(models, { allowCpu, clusterGpus })
  return { kind: 'CreateAttempt', job, ...models, number, gpus } as const
}

/**
 * The status comes first: the pod may do nothing before the api can see there that the job is its
 * own, and a controller that starts anew learns from it whom to ask.
 */
function startInSlot(
  observed: Observed,
  { number, slot }: { readonly number: number; readonly slot: SlotPlace },
): Decision {
  const { pod, podName, podUID, nodeName, runner, instead } = slot
  const attempt = { number, pool: pod.pool, podName, podUID, nodeName, runner }
  const given = { number, runner, podUID, pod, instead }
  const assignment = slotAssignment(observed.job, given)
  const conditions = startConditions(observed, handedOver)
  const message = `Attempt ${number} goes to pod ${podName} of ModelPool ${pod.pool}.`
  return {
    actions: [
      ...writeStatus(observed, { conditions, fields: { attempt, retryTime: undefined } }),
      { kind: 'Assign', assignment },
      recorded({ type: 'Normal', reason: 'Admitted', message }),
    ],
  }
}

function startConditions(observed: Observed, pods: ConditionDraft): readonly ConditionDraft[] {
  return [creditsCondition(observed), admitted, modelCondition(observed), pods, running]
}
