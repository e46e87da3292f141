import { chooseScheduler, findSchedulerClass } from '../schedulers/registry.ts'
import type { Scheduler } from '../schedulers/scheduler.ts'
import type { DiffusionModel } from './model.ts'
import { type ImageRequest, invalid, stepsRun, strengthOf } from './request.ts'

export type Schedule = {
  /** Fresh: it may hold history, so every run has its own. */
  readonly scheduler: Scheduler
  /** Index in its timesteps of the first call of the model: `strength` skips those before. */
  readonly firstIndex: number
}

type Timing = Pick<ImageRequest, 'task' | 'scheduler' | 'steps' | 'strength'>

/**
 * Lays out the steps. With an input, the noisiest ones are left out by diffusers' rule: of `steps`
 * the last trunc(steps · strength) are run. Only the image-to-image of latent consistency models
 * runs all steps, over the part of the schedule that `strength` leaves.
 * @throws AppError request.invalid when no step is left.
 */
export function makeSchedule(model: Pick<DiffusionModel, 'settings'>, request: Timing): Schedule {
  const { steps } = request
  const { create, config } = chooseScheduler(request.scheduler, model.settings.scheduler)
  const isDistilled = create === findSchedulerClass('LCMScheduler')
  if (isDistilled && compresses(model, request)) {
    const strength = strengthOf(request)
    return { scheduler: create({ ...config, strength }, steps), firstIndex: 0 }
  }
  const run = stepsRun(request)
  if (run < 1) throw invalid('strength', `${strengthOf(request)} of ${steps} steps leaves none`)
  const scheduler = create(config, steps)
  return { scheduler, firstIndex: (steps - run) * scheduler.order }
}

/** diffusers has a pipeline of its own for these models, told by the pack's model_index.json. */
function compresses(
  { settings }: Pick<DiffusionModel, 'settings'>,
  { task }: Pick<Timing, 'task'>,
): boolean {
  return task === 'ImageToImage' && settings.pipelineClass.startsWith('LatentConsistencyModel')
}
