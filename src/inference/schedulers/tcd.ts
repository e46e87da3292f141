import { combine, toFloat32 } from './arrays.ts'
import { distilledDefaults } from './lcm.ts'
import { readAlphas } from './noise-schedule.ts'
import { alphaNoising, levelOfAlpha, predictNoise, predictOriginal } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, requireSetting } from './settings.ts'
import { spaceDistilled } from './spacing.ts'

/** Trajectory consistency (Zheng et al. 2024, arXiv 2402.19159); eta is the paper's γ. */
export function createTcd(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(distilledDefaults, config)
  requireSetting(settings, { key: 'timestep_spacing', among: ['leading'] })
  const alphas = readAlphas({ ...distilledDefaults, ...config })
  const timesteps = spaceDistilled({
    steps,
    trainSteps: settings.num_train_timesteps,
    originalSteps: settings.original_inference_steps,
  })

  function step(input: StepInput): Float32Array {
    const { index } = input
    const eta = input.eta ?? 0
    const isLast = index === timesteps.length - 1
    const next = isLast ? 0 : timesteps[index + 1]
    const target = Math.floor((1 - eta) * next)
    const level = levelOfAlpha(alphas[timesteps[index]])
    const prediction = { ...input, type: settings.prediction_type, level }
    const jump = levelOfAlpha(alphas[target])
    const jumped = combine([
      [jump.alpha, predictOriginal(prediction)],
      [jump.sigma, predictNoise(prediction)],
    ])
    if (eta === 0 || isLast) return toFloat32(jumped)
    const ratio = alphas[next] / alphas[target]
    return toFloat32(
      combine([
        [Math.sqrt(ratio), jumped],
        [Math.sqrt(1 - ratio), input.drawNoise()],
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
