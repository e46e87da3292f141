import { packSize } from '../../shared/domain/fetch-sentence.ts'
import { type ConditionDraft, findCondition } from '../conditions.ts'
import { type AttemptState, isHeldByQuota, isSuspending, podOf } from './attempt.ts'
import { isReserved, type Readiness, readinessOf } from './eligibility.ts'
import { attemptJobName } from './names.ts'
import type { AttemptView, Observed, PodView } from './observed.ts'
import { podsWithoutQuota, waitingForQuota } from './quota-conditions.ts'
import { condition, keptCondition } from './status.ts'
import { isWorthTelling, stuckMs } from './times.ts'

/** What each condition of a job that has not ended says about the world as it was observed. */

export const running = condition({ type: 'Succeeded', status: 'Unknown', reason: 'Running' })

export function isHeld(observed: Observed): boolean {
  if (isReserved(observed.job)) return true
  const { hold } = observed
  return hold?.answer.kind === 'Answered' && hold.answer.value.state === 'Held'
}

export function creditsCondition(observed: Observed): ConditionDraft {
  const type = 'CreditsReserved'
  if (isHeld(observed)) return condition({ type, status: 'True', reason: 'Reserved' })
  const answer = observed.hold?.answer
  const kept = keptCondition(observed, type)
  if (answer?.kind === 'Answered' && answer.value.state === 'Waiting') {
    const reason = answer.value.reason === 'HoldLimit' ? 'HoldLimit' : 'InsufficientCredits'
    // The amounts in the message move with every other job: the first ones stay.
    if (kept?.reason === reason) return kept
    return condition({ type, status: 'False', reason, message: answer.value.message })
  }
  return kept ?? unknownCredits(observed)
}

function unknownCredits({ hold }: Observed): ConditionDraft {
  const message = hold?.answer.kind === 'Unreachable' ? hold.answer.message : undefined
  return condition({ type: 'CreditsReserved', status: 'Unknown', reason: 'Pending', message })
}

export function modelCondition(observed: Observed): ConditionDraft {
  const type = 'ModelReady'
  const readiness = readinessOf(observed.job, observed)
  const { reason } = readiness
  if (reason === 'Ready') return condition({ type, status: 'True', reason })
  return condition({ type, status: 'False', reason, message: modelMessage(observed, readiness) })
}

/** An attempt is made of ready models only, and is not troubled by what becomes of them later. */
export const modelWasReady = condition({ type: 'ModelReady', status: 'True', reason: 'Ready' })

/** Told once: how far it is moves too fast for etcd, and stands in the progress of the job. */
export function modelOfAttempt(observed: Observed, attempt: AttemptView): ConditionDraft {
  if (podOf(observed.job, attempt)?.fetching !== true) return modelWasReady
  const message = `The pod fetches ${fetchedPacks(observed)}; progress.fetch says how far it is.`
  return condition({ type: 'ModelReady', status: 'False', reason: 'ModelLoading', message })
}

function fetchedPacks({ model, loras }: Observed): string {
  const packs = [model, ...loras].flatMap((each) => {
    if (each?.spec.delivery.type !== 'Fetch') return []
    const { sizeBytes } = each.spec.delivery.fetch ?? {}
    const size = sizeBytes === undefined ? '' : ` (${packSize(sizeBytes)})`
    return [`Model ${each.metadata.name}${size}`]
  })
  return packs.join(', ')
}

function modelMessage({ job }: Observed, found: Readiness): string | undefined {
  const { reason, name, field, model } = found
  if (reason === 'ModelNotFound') return `${field}: there is no Model ${name}.`
  if (reason === 'UnsupportedTask') return `spec.task: Model ${name} does not do ${job.spec.task}.`
  if (reason === 'NotVisible') return undefined
  return findCondition(model?.status?.conditions, 'Ready')?.message
}

export const admitted = condition({ type: 'Admitted', status: 'True', reason: 'Admitted' })
export const suspended = condition({ type: 'Admitted', status: 'False', reason: 'Suspended' })

/** Of a job that has an attempt. */
export function admittedCondition(observed: Observed, attempt: AttemptView): ConditionDraft {
  if (isSuspending(observed, attempt)) return suspended
  if (isHeldByQuota(attempt)) return waitingForQuota(observed)
  const kept = keptCondition(observed, 'Admitted')
  // Kueue had taken its place back, and nothing is left of it that could have one.
  if (attempt.job === undefined && kept?.reason === 'WaitingForQuota') return kept
  return admitted
}

/**
 * Says nothing that changes while the queue moves, or Nodes and pools come and go: a queued job is
 * written once or twice. Why it waits the leader says to whoever asks, and its end tells at last.
 */
export const queued = condition({ type: 'Admitted', status: 'False', reason: 'Queued' })

export function podsNotRunning(observed: Observed, state: AttemptState): ConditionDraft {
  const type = 'PodsReady'
  if (state.kind === 'None') return condition({ type, status: 'False', reason: 'NotStarted' })
  const ended = condition({ type, status: 'False', reason: 'Ended' })
  const kept = keptCondition(observed, type)
  return kept?.reason === 'BackingOff' && !observed.job.spec.suspend ? kept : ended
}

export function podsCondition(observed: Observed, attempt: AttemptView): ConditionDraft {
  const type = 'PodsReady'
  if (attempt.pooled !== undefined) return pooledCondition(observed, attempt)
  if (isHeldByQuota(attempt)) return podsWithoutQuota(attempt.number)
  const pod = podOf(observed.job, attempt)
  if (pod?.phase === 'Running') return condition({ type, status: 'True', reason: 'Running' })
  const starting = condition({ type, status: 'False', reason: 'Starting' })
  const stuck = pod === undefined ? missingPod(observed, attempt) : stuckPod(pod)
  if (stuck === undefined || observed.nowMs < stuckMs(observed.job, attempt)) return starting
  const kept = keptCondition(observed, type)
  // The scheduler's own message changes with every Node: the first one for a reason stays.
  if (kept?.message.startsWith(stuck.cause) === true) return kept
  return { ...starting, message: `${stuck.cause} ${stuck.detail}`.trim() }
}

/** `Starting` until the attempt has run for a moment: of a quick one only the end is written. */
function pooledCondition(observed: Observed, attempt: AttemptView): ConditionDraft {
  const written = observed.job.status?.attempt
  const isWritten = written?.number === attempt.number && written.startTime !== undefined
  if (!isWritten && !isWorthTelling(attempt, observed.nowMs)) return handedOver
  return condition({ type: 'PodsReady', status: 'True', reason: 'Running' })
}

export const handedOver = condition({
  type: 'PodsReady',
  status: 'False',
  reason: 'Starting',
  message: 'The job is handed over to a pool pod.',
})

type Stuck = { readonly cause: string; readonly detail: string }

function stuckPod(pod: PodView): Stuck | undefined {
  if (pod.waiting === undefined) return undefined
  const { reason, message } = pod.waiting
  // The kubelet alternates between the two words.
  const name = reason === 'ImagePullBackOff' ? 'ErrImagePull' : reason
  return { cause: `Pod ${pod.name} waits: ${name}.`, detail: message }
}

/** A Job that was made long ago and has no pod: a quota, or a policy, refuses it. */
function missingPod({ job }: Observed, attempt: AttemptView): Stuck {
  const name = attemptJobName(job.metadata.uid, attempt.number)
  return { cause: 'Kubernetes has made no pod.', detail: `See the events of Job ${name}.` }
}
