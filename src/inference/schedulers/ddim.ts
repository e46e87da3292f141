import { combine, roundHalfEven, toFloat32 } from './arrays.ts'
import { readAlphas } from './noise-schedule.ts'
import { alphaNoising, levelOfAlpha, predictNoise, predictOriginal } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings } from './settings.ts'
import { spaceTimesteps } from './spacing.ts'

const defaults = {
  num_train_timesteps: 1000,
  clip_sample: true,
  clip_sample_range: 1,
  set_alpha_to_one: true,
  steps_offset: 0,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
}

/** DDIM (Song et al. 2021, arXiv 2010.02502, equations 12 and 16); eta > 0 adds noise. */
export function createDdim(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  const alphas = readAlphas(config)
  const finalAlpha = settings.set_alpha_to_one ? 1 : alphas[0]
  const trainSteps = settings.num_train_timesteps
  const timesteps = spaceTimesteps({
    kind: settings.timestep_spacing,
    steps,
    trainSteps,
    offset: settings.steps_offset,
  }).map(roundHalfEven)
  const stride = Math.floor(trainSteps / steps)
  const clip = settings.clip_sample ? settings.clip_sample_range : Infinity

  function step(input: StepInput): Float32Array {
    const timestep = timesteps[input.index]
    const alpha = alphas[timestep]
    const previousAlpha = timestep >= stride ? alphas[timestep - stride] : finalAlpha
    const prediction = { ...input, type: settings.prediction_type, level: levelOfAlpha(alpha) }
    const original = predictOriginal(prediction).map((x) => Math.min(Math.max(x, -clip), clip))
    const noise = predictNoise(prediction)
    const eta = input.eta ?? 0
    const variance = ((1 - previousAlpha) / (1 - alpha)) * (1 - alpha / previousAlpha)
    const deviation = eta * Math.sqrt(variance)
    const next = combine([
      [Math.sqrt(previousAlpha), original],
      [Math.sqrt(1 - previousAlpha - deviation * deviation), noise],
    ])
    if (eta === 0) return toFloat32(next)
    return toFloat32(
      combine([
        [1, next],
        [deviation, input.drawNoise()],
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
