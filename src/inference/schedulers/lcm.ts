import { combine } from './arrays.ts'
import { limitOriginal, thresholdDefaults } from './limit-original.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import { alphaNoising, latentBetas, readAlphas } from './noise-schedule.ts'
import { predictOriginal } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings } from './settings.ts'
import { spaceDistilled } from './spacing.ts'

/** Settings of both distilled methods. They know no spacing but their own. */
export const distilledDefaults = {
  num_train_timesteps: 1000,
  ...latentBetas,
  beta_schedule: 'scaled_linear',
  original_inference_steps: 50,
  prediction_type: 'epsilon',
}

const defaults = {
  ...distilledDefaults,
  ...thresholdDefaults,
  clip_sample: false,
  clip_sample_range: 1,
  timestep_scaling: 10,
  /** No setting of a file: how much of the schedule latent consistency's image-to-image takes. */
  strength: 1,
}

/** Standard deviation of pictures that the boundary condition of the paper assumes. */
const dataDeviation = 0.5

/** Latent consistency (Luo et al. 2023, arXiv 2310.04378, algorithm 3). */
export function createLcm(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  const alphas = readAlphas({ ...distilledDefaults, ...config }, 'Exact')
  const timesteps = spaceDistilled(settings, steps)
  const type = settings.prediction_type
  const noising = alphaNoising({ alphas, timesteps, type })

  function step(input: StepInput): Stepped {
    const { index, sample } = input
    const predicted = predictOriginal({ ...input, type, level: noising.levelAt(index) })
    const scaled = timesteps[index] * settings.timestep_scaling
    const length = scaled ** 2 + dataDeviation ** 2
    const denoised = combine([
      [scaled / Math.sqrt(length), limitOriginal(settings, predicted)],
      [dataDeviation ** 2 / length, sample],
    ])
    if (index === timesteps.length - 1) return { sample: denoised }
    const next = noising.levelAt(index + 1)
    const noised = combine([
      [next.alpha, denoised],
      [next.sigma, input.drawNoise()],
    ])
    return { sample: noised }
  }

  return makeScheduler({ ...noising, step })
}
