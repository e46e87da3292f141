import { combine, roundHalfEven, toFloat32 } from './arrays.ts'
import { readAlphas } from './noise-schedule.ts'
import { alphaNoising, levelOfAlpha, predictOriginal } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, requireSetting } from './settings.ts'
import { spaceTimesteps } from './spacing.ts'

const defaults = {
  num_train_timesteps: 1000,
  clip_sample: true,
  clip_sample_range: 1,
  variance_type: 'fixed_small',
  steps_offset: 0,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
}

/** DDPM (Ho et al. 2020, arXiv 2006.11239, equations 6 and 7). */
export function createDdpm(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  requireSetting(settings, { key: 'variance_type', among: ['fixed_small', 'fixed_large'] })
  const alphas = readAlphas(config)
  const timesteps = spaceTimesteps({
    kind: settings.timestep_spacing,
    steps,
    trainSteps: settings.num_train_timesteps,
    offset: settings.steps_offset,
  }).map(roundHalfEven)
  const clip = settings.clip_sample ? settings.clip_sample_range : Infinity

  function step(input: StepInput): Float32Array {
    const { index, sample } = input
    const alpha = alphas[timesteps[index]]
    const previous = index + 1 < timesteps.length ? alphas[timesteps[index + 1]] : 1
    const ratio = alpha / previous
    const level = levelOfAlpha(alpha)
    const original = predictOriginal({ ...input, type: settings.prediction_type, level })
    const mean = combine([
      [
        (Math.sqrt(previous) * (1 - ratio)) / (1 - alpha),
        original.map((x) => Math.min(Math.max(x, -clip), clip)),
      ],
      [(Math.sqrt(ratio) * (1 - previous)) / (1 - alpha), sample],
    ])
    if (timesteps[index] === 0) return toFloat32(mean)
    const small = Math.max(((1 - previous) / (1 - alpha)) * (1 - ratio), 1e-20)
    const variance = settings.variance_type === 'fixed_small' ? small : 1 - ratio
    return toFloat32(
      combine([
        [1, mean],
        [Math.sqrt(variance), input.drawNoise()],
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
