import { assert } from '../assert.ts'
import type { Parameters, Task } from '../crd/generation-job.ts'
import type { ModelSpec } from '../crd/model.ts'
import { findSchedulerName, modelCalls } from './job-schedulers.ts'

/** Where nobody says otherwise, as in diffusers 0.42: an inpainted region starts from pure noise. */
export const strengthDefaults = { ImageToImage: 0.8, Inpaint: 1 } as const

export type PlannedJob = {
  readonly task: Task
  /** Complete. */
  readonly parameters: Parameters
  readonly family: ModelSpec['family']
}

/**
 * Model calls of one picture of a job. A task that starts from a picture skips the share
 * 1 − strength of the steps, except for image-to-image of latent consistency models, which lay all
 * their steps over the rest of the schedule (diffusers' LatentConsistencyModelImg2ImgPipeline).
 */
export function callsPerImage({ task, parameters, family }: PlannedJob): number {
  const { steps } = parameters
  const scheduler = findSchedulerName(parameters.scheduler ?? '')
  assert(scheduler !== undefined && steps !== undefined, 'the parameters are complete')
  const isDistilled = family === 'LatentConsistency' && scheduler === 'LCM'
  const runsAllSteps = task === 'TextToImage' || (task === 'ImageToImage' && isDistilled)
  const strength = runsAllSteps ? 1 : (parameters.strength ?? 1)
  const calls = modelCalls({ scheduler, steps, strength })
  assert(Number.isInteger(calls) && calls >= 0, 'model calls are counted')
  return calls
}
