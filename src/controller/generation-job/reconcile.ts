import { isConflict, isUnsure } from '../../platform/kube/errors.ts'
import { keyOf } from '../../platform/kube/resources.ts'
import type { Outcome } from '../../platform/kube/work-queue.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { UNSEEN_MAX_MS } from '../limits.ts'
import type { ControllerMetrics } from '../metrics.ts'
import { act, type ActParts } from './act.ts'
import { decide } from './decide.ts'
import type { Action, Decision } from './decision.ts'
import { requestOf } from './eligibility.ts'
import { invalidPatch } from './invalid.ts'
import { observe, type ObserveParts } from './observe.ts'
import type { Facts, Observed } from './observed.ts'
import { openPooledAttempt } from './pooled-view.ts'

export type ReconcileParts = ObserveParts &
  ActParts & { readonly metrics: Pick<ControllerMetrics, 'jobEnded'> }

/** One pass over one GenerationJob. Throws when a step fails: the queue tries again, later. */
export async function reconcile(parts: ReconcileParts, key: string): Promise<Outcome> {
  const job = parts.caches.generationJobs.get(key)
  if (job === undefined) return forget(parts, key)
  if (parts.written.isBehind(key, job)) return { kind: 'RecheckAfter', ms: UNSEEN_MAX_MS }
  try {
    return await reconcileJob(parts, job)
  } catch (error) {
    parts.board.standAside(job)
    await tellFault(parts, job, error)
    throw error
  }
}

async function tellFault(parts: ReconcileParts, job: GenerationJob, error: unknown): Promise<void> {
  const patch = invalidPatch(job, { error, nowMs: parts.clock.nowMs() })
  if (patch === undefined) return
  // What cannot be said now is said with the next try.
  await act(parts, job, { kind: 'WriteStatus', patch }).catch(() => undefined)
}

async function reconcileJob(parts: ReconcileParts, job: GenerationJob): Promise<Outcome> {
  const facts = await observe(parts, job)
  // No await between the place and its reservation, so that no place is given twice.
  const decision = decideInPlace(parts, facts)
  for (const action of decision.actions) await perform(parts, job, { action, decision })
  if (openPooledAttempt(job) === undefined && !startsInSlot(decision)) {
    parts.assignments.drop(keyOf(job))
  }
  if (decision.outcome !== undefined) parts.metrics.jobEnded(decision.outcome)
  return outcomeOf(decision)
}

/** Decides, and takes the place that the decision uses; without it, decides to wait. */
function decideInPlace(parts: ReconcileParts, facts: Facts): Decision {
  const { board, settings } = parts
  const observed: Observed = { ...facts, place: board.placeOf(facts.job) }
  const decision = decide(observed, settings)
  if (reservePlace(parts, observed, decision)) return decision
  return decide({ ...facts, place: { kind: 'Queued', cause: 'Turn' } }, settings)
}

function reservePlace(
  { board, settings }: ReconcileParts,
  { job, clusterGpus }: Observed,
  { actions }: Decision,
): boolean {
  for (const action of actions) {
    if (action.kind === 'CreateAttempt') {
      const { number, nodeName, queue } = action
      if (queue !== undefined) return board.reserve(job, { number, place: { kind: 'Quota' } })
      const request = requestOf(action, { allowCpu: settings.allowCpu, clusterGpus })
      return board.reserve(job, { number, place: { kind: 'Node', request, nodeName } })
    }
    if (action.kind === 'Assign' && openPooledAttempt(job) === undefined) {
      const { attempt: number, podUID, instead } = action.assignment
      return board.reserve(job, { number, place: { kind: 'Slot', podUID, instead } })
    }
  }
  return true
}

function forget({ assignments, holds, written }: ReconcileParts, key: string): Outcome {
  assignments.abandon(key)
  holds.forget(key)
  written.forget(key)
  return { kind: 'Done' }
}

type Step = { readonly action: Action; readonly decision: Decision }

async function perform(parts: ReconcileParts, job: GenerationJob, { action, decision }: Step) {
  try {
    await act(parts, job, action)
  } catch (error) {
    if (hasNotStarted(action, decision, error)) parts.board.release(job)
    throw error
  }
}

/**
 * What may have been written after all keeps its place: it is tried again there. Who changed the
 * job since it was read may have been we ourselves, with a write that was never answered.
 */
function hasNotStarted({ kind }: Action, decision: Decision, error: unknown): boolean {
  if (isUnsure(error) || isConflict(error)) return false
  return kind === 'CreateAttempt' || (kind === 'WriteStatus' && startsInSlot(decision))
}

function startsInSlot({ actions }: Decision): boolean {
  return actions.some(({ kind }) => kind === 'Assign')
}

function outcomeOf({ recheckAfterMs }: Decision): Outcome {
  return recheckAfterMs === undefined
    ? { kind: 'Done' }
    : { kind: 'RecheckAfter', ms: recheckAfterMs }
}
