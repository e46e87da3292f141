import type { Outcome } from '../../platform/kube/work-queue.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { ControllerMetrics } from '../metrics.ts'
import { act, type ActParts } from './act.ts'
import { decide } from './decide.ts'
import type { Action, Decision } from './decision.ts'
import { requestOf } from './eligibility.ts'
import { observe, type ObserveParts } from './observe.ts'
import type { Observed } from './observed.ts'

export type ReconcileParts = ObserveParts &
  ActParts & { readonly metrics: Pick<ControllerMetrics, 'jobEnded'> }

/** One pass over one GenerationJob. Throws when a step fails: the queue tries again, later. */
export async function reconcile(parts: ReconcileParts, key: string): Promise<Outcome> {
  const job = parts.caches.generationJobs.get(key)
  if (job === undefined) return forget(parts, key)
  if (parts.written.isBehind(key, job)) return { kind: 'Done' }
  try {
    return await reconcileJob(parts, job)
  } catch (error) {
    parts.board.standAside(job.metadata.uid)
    throw error
  }
}

async function reconcileJob(parts: ReconcileParts, job: GenerationJob): Promise<Outcome> {
  const facts = await observe(parts, job)
  // No await between the place and its reservation, so that no place is given twice.
  const observed = { ...facts, place: parts.board.placeOf(job) }
  const decision = decide(observed, parts.settings)
  reservePlace(parts, observed, decision)

  for (const action of decision.actions) await perform(parts, job, action)
  if (decision.outcome !== undefined) parts.metrics.jobEnded(decision.outcome)
  return outcomeOf(decision)
}

function forget({ holds, written }: ReconcileParts, key: string): Outcome {
  holds.forget(key)
  written.forget(key)
  return { kind: 'Done' }
}

function reservePlace({ board, settings }: ReconcileParts, observed: Observed, decision: Decision) {
  for (const action of decision.actions) {
    if (action.kind !== 'CreateAttempt') continue
    const { allowCpu } = settings
    const request = requestOf(action, { allowCpu, clusterGpus: observed.clusterGpus })
    board.reserve(action.job, { number: action.number, request })
  }
}

async function perform(parts: ReconcileParts, job: GenerationJob, action: Action): Promise<void> {
  try {
    await act(parts, job, action)
  } catch (error) {
    if (action.kind === 'CreateAttempt') parts.board.release(job.metadata.uid)
    throw error
  }
}

function outcomeOf({ recheckAfterMs }: Decision): Outcome {
  return recheckAfterMs === undefined
    ? { kind: 'Done' }
    : { kind: 'RecheckAfter', ms: recheckAfterMs }
}
