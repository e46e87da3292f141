import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { jobId } from '../crd/generation-job.ts'

/**
 * What the controller and a pool pod say to each other. Every request is signed with the key of
 * the pool (`platform/http/request-signature.ts`):
 *
 *   PUT    /v1/jobs/{uid}                          assignment → assigned
 *   GET    /v1/jobs/{uid}?attempt=n&waitSeconds=s  → assigned, as soon as it has ended or s is over
 *   DELETE /v1/jobs/{uid}?attempt=n                cancels, or forgets an ended one → 204;
 *                                                  attempts up to n are not taken any more
 *   GET    /v1/state                               → poolPodState
 *
 * Refusals are problems (RFC 9457) with the codes of `poolRefusals`, `request.invalid` for a model
 * that the pod does not have, and `job.not_found` for an attempt that it does not know.
 */
export const poolPort = 8080
export const poolPodPrefix = '/v1'
export const assignmentWaitSecondsMax = 60

/** Drawn when the process of a pool pod starts: a restarted container is another runner. */
const runnerId = z.string().min(8).max(64)

export const poolRefusals = [
  /** A newer attempt of the job is known, or this one was deleted. */
  'pool.attempt_outdated',
  /** No slot is free, or the older attempt of the job is not over yet. */
  'pool.busy',
  /** The pod is about to end. */
  'pool.draining',
  /** The container was restarted since the assignment was made. */
  'pool.runner_changed',
] as const
export type PoolRefusal = (typeof poolRefusals)[number]

export const assignment = z.strictObject({
  attempt: z.int().min(1).max(1000),
  jobId,
  runner: runnerId,
  /** The base model, which decides the slot. */
  model: labelName,
  /** The model to give up when none of the free slots has the job's: it is missed least. */
  instead: labelName.optional(),
})
export type Assignment = z.infer<typeof assignment>

export const assigned = z.object({
  attempt: z.int().min(1),
  /** `Ended`: its report was handed to the api, or nothing more can be done for that. */
  state: z.enum(['Running', 'Ended']),
  /** The reason of the report. */
  reason: z.enum(['Completed', 'Cancelled', 'InvalidInput', 'Failed']).optional(),
})
export type Assigned = z.infer<typeof assigned>

/**
 * Base models in the order in which this slot of a pod would have them: slot i begins with model i,
 * so that a pod with as many slots has every model warm.
 */
export function modelsOfSlot<T>(models: readonly T[], index: number): readonly T[] {
  const first = index % models.length
  return [...models.slice(first), ...models.slice(0, first)]
}

const slot = z.object({
  /** Whose weights are in memory; null while none are. */
  model: labelName.nullable(),
  /** `Failed`: none of the pool's models can be loaded. */
  state: z.enum(['Loading', 'Idle', 'Busy', 'Failed']),
  /** Why it has not the model that it would have first. */
  message: z.string().max(1024).optional(),
  job: z.object({ uid: z.string(), attempt: z.int() }).nullable(),
})
export type SlotState = z.infer<typeof slot>

export const poolPodState = z.object({
  runner: runnerId,
  draining: z.boolean(),
  slots: z.array(slot).max(16),
})
export type PoolPodState = z.infer<typeof poolPodState>
