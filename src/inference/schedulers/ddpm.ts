import { combine, roundHalfEven } from './arrays.ts'
import { limitOriginal, thresholdDefaults } from './limit-original.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import { alphaNoising, readAlphas } from './noise-schedule.ts'
import { predictOriginal } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, requireSetting } from './settings.ts'
import { spaceTimesteps, spacingDefaults } from './spacing.ts'

const defaults = {
  ...spacingDefaults,
  ...thresholdDefaults,
  timestep_spacing: 'leading',
  clip_sample: true,
  clip_sample_range: 1,
  variance_type: 'fixed_small',
  prediction_type: 'epsilon',
}

/**
 * Variances of equation 7 and of section 3.2. The forms through the logarithm are the same ones;
 * diffusers 0.42 makes NaN of `fixed_large_log`, which is followed in its meaning.
 */
const smallVariances = ['fixed_small', 'fixed_small_log']
const largeVariances = ['fixed_large', 'fixed_large_log']

/** DDPM (Ho et al. 2020, arXiv 2006.11239, equations 6 and 7). */
export function createDdpm(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  requireSetting(settings, { key: 'variance_type', among: [...smallVariances, ...largeVariances] })
  const alphas = readAlphas(config, 'Exact')
  const timesteps = spaceTimesteps(settings, { steps }).map(roundHalfEven)
  const type = settings.prediction_type
  const noising = alphaNoising({ alphas, timesteps, type })

  function step(input: StepInput): Stepped {
    const { index, sample } = input
    const alpha = alphas[timesteps[index]]
    const previous = index + 1 < timesteps.length ? alphas[timesteps[index + 1]] : 1
    const ratio = alpha / previous
    const predicted = predictOriginal({ ...input, type, level: noising.levelAt(index) })
    const mean = combine([
      [(Math.sqrt(previous) * (1 - ratio)) / (1 - alpha), limitOriginal(settings, predicted)],
      [(Math.sqrt(ratio) * (1 - previous)) / (1 - alpha), sample],
    ])
    if (timesteps[index] === 0) return { sample: mean }
    const small = Math.max(((1 - previous) / (1 - alpha)) * (1 - ratio), 1e-20)
    const variance = smallVariances.includes(settings.variance_type) ? small : 1 - ratio
    const noised = combine([
      [1, mean],
      [Math.sqrt(variance), input.drawNoise()],
    ])
    return { sample: noised }
  }

  return makeScheduler({ ...noising, step })
}
