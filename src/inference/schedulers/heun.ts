import { combine } from './arrays.ts'
import { limitOriginal } from './limit-original.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import { latentBetas } from './noise-schedule.ts'
import { predictOriginalFromSigma } from './prediction.ts'
import type { Scheduler, SchedulerConfig, SchedulerState, StepInput } from './scheduler.ts'
import { readSettings } from './settings.ts'
import { layOutSigmas, readSigmaSettings, sigmaNoising, slopeAt } from './sigma-method.ts'
import { commonFlags } from './sigma-spacing.ts'

const clipDefaults = { clip_sample: false, clip_sample_range: 1 }

/**
 * Heun steps (Karras et al. 2022, algorithm 1): an Euler step, then the mean of the slopes at
 * both ends. Every sigma but the first and last is evaluated twice.
 */
export function createHeun(config: SchedulerConfig, steps: number): Scheduler {
  const settings = { ...readSigmaSettings(config), ...readSettings(clipDefaults, config) }
  const whole = { ...latentBetas, ...config }
  const layout = layOutSigmas({ steps, config: whole, flags: commonFlags })
  const end = layout.timesteps.length
  const sigmas = layout.sigmas.flatMap((sigma, i) =>
    i === 0 || i === end ? [sigma] : [sigma, sigma],
  )

  function step(input: StepInput, memory: SchedulerState): Stepped {
    const { index, sample } = input
    const sigma = sigmas[index]
    const predicted = predictOriginalFromSigma({ ...input, type: settings.prediction_type, sigma })
    const slope = slopeAt({ sample, sigma }, limitOriginal(settings, predicted))
    if (memory.start === null) {
      const moved = combine([
        [1, sample],
        [sigmas[index + 1] - sigma, slope],
      ])
      return { sample: moved, history: [slope], start: sample }
    }
    const half = (sigma - sigmas[index - 1]) / 2
    const corrected = combine([
      [1, memory.start],
      [half, memory.history[0]],
      [half, slope],
    ])
    return { sample: corrected, history: [], start: null }
  }

  return makeScheduler({
    timesteps: layout.timesteps.flatMap((t, i) => (i === 0 ? [t] : [t, t])),
    order: 2,
    ...sigmaNoising(sigmas, settings.timestep_spacing),
    step,
  })
}
