import { combine, toFloat32 } from './arrays.ts'
import { readAlphas } from './noise-schedule.ts'
import { alphaNoising, levelOfAlpha, predictOriginal } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, requireSetting } from './settings.ts'
import { spaceDistilled } from './spacing.ts'

export const distilledDefaults = {
  num_train_timesteps: 1000,
  beta_start: 0.00085,
  beta_end: 0.012,
  beta_schedule: 'scaled_linear',
  original_inference_steps: 50,
  clip_sample: false,
  clip_sample_range: 1,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
  timestep_scaling: 10,
}

/** Standard deviation of pictures that the boundary condition of the paper assumes. */
const dataDeviation = 0.5

/** Latent consistency (Luo et al. 2023, arXiv 2310.04378, algorithm 3). */
export function createLcm(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(distilledDefaults, config)
  requireSetting(settings, { key: 'timestep_spacing', among: ['leading'] })
  const alphas = readAlphas({ ...distilledDefaults, ...config })
  const timesteps = spaceDistilled({
    steps,
    trainSteps: settings.num_train_timesteps,
    originalSteps: settings.original_inference_steps,
  })
  const clip = settings.clip_sample ? settings.clip_sample_range : Infinity

  function step(input: StepInput): Float32Array {
    const { index, sample } = input
    const timestep = timesteps[index]
    const level = levelOfAlpha(alphas[timestep])
    const original = predictOriginal({ ...input, type: settings.prediction_type, level })
    const scaled = timestep * settings.timestep_scaling
    const length = scaled ** 2 + dataDeviation ** 2
    const denoised = combine([
      [scaled / Math.sqrt(length), original.map((x) => Math.min(Math.max(x, -clip), clip))],
      [dataDeviation ** 2 / length, sample],
    ])
    if (index === timesteps.length - 1) return toFloat32(denoised)
    const next = levelOfAlpha(alphas[timesteps[index + 1]])
    return toFloat32(
      combine([
        [next.alpha, denoised],
        [next.sigma, input.drawNoise()],
      ]),
    )
  }

  return {
    timesteps,
    sigmas: null,
    initNoiseSigma: 1,
    order: 1,
    scaleModelInput: (sample) => sample,
    step,
    addNoise: alphaNoising(alphas, timesteps),
  }
}
