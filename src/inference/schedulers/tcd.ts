import { combine } from './arrays.ts'
import { distilledDefaults } from './lcm.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import { alphaNoising, readAlphas } from './noise-schedule.ts'
import { levelOfAlpha, predictNoise, predictOriginal } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings } from './settings.ts'
import { spaceDistilled } from './spacing.ts'

/** Trajectory consistency (Zheng et al. 2024, arXiv 2402.19159); eta is the paper's γ. */
export function createTcd(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(distilledDefaults, config)
  const alphas = readAlphas({ ...distilledDefaults, ...config }, 'Exact')
  const timesteps = spaceDistilled(settings, steps)
  const type = settings.prediction_type
  const noising = alphaNoising({ alphas, timesteps, type })

  function step(input: StepInput): Stepped {
    const { index } = input
    const eta = input.eta ?? 0
    const isLast = index === timesteps.length - 1
    const next = isLast ? 0 : timesteps[index + 1]
    // In float32 as the reference, where it decides which whole timestep a product reaches.
    const target = Math.floor(Math.fround(Math.fround(1 - eta) * next))
    const prediction = { ...input, type, level: noising.levelAt(index) }
    const jump = levelOfAlpha(alphas[target])
    const jumped = combine([
      [jump.alpha, predictOriginal(prediction)],
      [jump.sigma, predictNoise(prediction)],
    ])
    if (eta === 0 || isLast) return { sample: jumped }
    const ratio = alphas[next] / alphas[target]
    const noised = combine([
      [Math.sqrt(ratio), jumped],
      [Math.sqrt(1 - ratio), input.drawNoise()],
    ])
    return { sample: noised }
  }

  return makeScheduler({ ...noising, step })
}
