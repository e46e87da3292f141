import { combine, roundHalfEven } from './arrays.ts'
import { limitOriginal, thresholdDefaults } from './limit-original.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import { alphaNoising, readAlphas } from './noise-schedule.ts'
import { predictNoise, predictOriginal } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings } from './settings.ts'
import { spaceTimesteps, spacingDefaults } from './spacing.ts'

const defaults = {
  ...spacingDefaults,
  ...thresholdDefaults,
  timestep_spacing: 'leading',
  clip_sample: true,
  clip_sample_range: 1,
  set_alpha_to_one: true,
  prediction_type: 'epsilon',
}

/** DDIM (Song et al. 2021, arXiv 2010.02502, equations 12 and 16); eta > 0 adds noise. */
export function createDdim(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  const alphas = readAlphas(config, 'Exact')
  const finalAlpha = settings.set_alpha_to_one ? 1 : alphas[0]
  const timesteps = spaceTimesteps(settings, { steps }).map(roundHalfEven)
  const stride = Math.floor(settings.num_train_timesteps / steps)
  const type = settings.prediction_type
  const noising = alphaNoising({ alphas, timesteps, type })

  function step(input: StepInput): Stepped {
    const timestep = timesteps[input.index]
    const alpha = alphas[timestep]
    const previousAlpha = timestep >= stride ? alphas[timestep - stride] : finalAlpha
    const prediction = { ...input, type, level: noising.levelAt(input.index) }
    const original = limitOriginal(settings, predictOriginal(prediction))
    const eta = input.eta ?? 0
    const variance = ((1 - previousAlpha) / (1 - alpha)) * (1 - alpha / previousAlpha)
    const deviation = eta * Math.sqrt(variance)
    const next = combine([
      [Math.sqrt(previousAlpha), original],
      [Math.sqrt(1 - previousAlpha - deviation * deviation), predictNoise(prediction)],
    ])
    if (eta === 0) return { sample: next }
    const noised = combine([
      [1, next],
      [deviation, input.drawNoise()],
    ])
    return { sample: noised }
  }

  return makeScheduler({ ...noising, step })
}
