import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { ownerKey } from '../../shared/domain/admission/owner.ts'
import { isTerminal } from './eligibility.ts'

/**
 * Owners take turns in the queue of work, as their jobs do for places: the thousands that somebody
 * has just created must not keep the one of another from being looked at. What runs, has a place or
 * is gone is in no group and goes first: others wait for its GPUs.
 */
export function workGroupOf(
  job: GenerationJob | undefined,
  hasPlace: (uid: string) => boolean,
): string | undefined {
  if (job === undefined || hasPlace(job.metadata.uid)) return undefined
  if (job.status?.attempt !== undefined && !isTerminal(job)) return undefined
  return ownerKey(job.spec.owner)
}
