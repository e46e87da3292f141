import { chooseScheduler } from '../../../src/inference/schedulers/registry.ts'
import type { Scheduler, SchedulerConfig } from '../../../src/inference/schedulers/scheduler.ts'
import type { SchedulerName } from '../../../src/shared/domain/job-schedulers.ts'

/** The settings that Stable Diffusion's models come with. */
export const modelConfig: SchedulerConfig = {
  _class_name: 'DDIMScheduler',
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  steps_offset: 1,
  set_alpha_to_one: false,
  clip_sample: false,
  skip_prk_steps: true,
}

export function makeNamed(name: SchedulerName, steps: number, change: object = {}): Scheduler {
  const { create, config } = chooseScheduler(name, { ...modelConfig, ...change })
  return create(config, steps)
}

const size = 64

export const latents = {
  original: Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
  noise: Float32Array.from({ length: size }, (_, i) => 1.5 * Math.cos(3 * i)),
}

/** Pure noise at the scheduler's initial level. */
export function bare(scheduler: Scheduler): Float32Array {
  return latents.noise.map((value) => value * scheduler.initNoiseSigma)
}

export type Model = (scaled: Float32Array, timestep: number) => Float32Array

/** Noise that depends on the step only, so that a continued run draws what a whole one draws. */
export function noiseAt(index: number): Float32Array {
  return Float32Array.from({ length: size }, (_, i) => Math.sin(7 * i + 13 * index))
}

const toyModel: Model = (scaled, timestep) =>
  scaled.map((value, i) => (value * 0.8 * timestep) / 1000 + 0.1 * ((i % 7) - 3))

/** Steps from `begin` to before `end` and returns the last sample. */
export function run(
  scheduler: Scheduler,
  start: Float32Array,
  options: { readonly model?: Model; readonly begin?: number; readonly end?: number } = {},
): Float32Array {
  const { model = toyModel, begin = 0, end = scheduler.timesteps.length } = options
  let sample = start
  for (let index = begin; index < end; index++) {
    const scaled = scheduler.scaleModelInput(sample, index)
    const modelOutput = model(scaled, scheduler.timesteps[index])
    const drawNoise = () => noiseAt(index)
    sample = scheduler.step({ modelOutput, sample, index, drawNoise, eta: 0.3 })
  }
  return sample
}
