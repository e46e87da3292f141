import { combine, linspace, toFloat32 } from './arrays.ts'
import type { Scheduler, SchedulerConfig } from './scheduler.ts'
import { readSettings, refuseSettings } from './settings.ts'

const defaults = { num_train_timesteps: 1000, shift: 1 }

/**
 * Euler steps along straight paths from noise to picture (Esser et al. 2024, arXiv 2403.03206):
 * x = (1 − σ)·x0 + σ·noise, and the model predicts noise − x0.
 */
export function createFlowMatchEuler(config: SchedulerConfig, steps: number): Scheduler {
  refuseSettings(config, [
    'use_dynamic_shifting',
    'shift_terminal',
    'invert_sigmas',
    'use_karras_sigmas',
    'use_exponential_sigmas',
    'use_beta_sigmas',
    'stochastic_sampling',
  ])
  const { shift, num_train_timesteps: trainSteps } = readSettings(defaults, config)
  const shifted = (sigma: number) => (shift * sigma) / (1 + (shift - 1) * sigma)
  // The reference shifts the smallest training sigma once for the range and once as a step.
  const range = linspace(shifted(1), shifted(1 / trainSteps), steps)
  const levels = range.map(shifted)
  const sigmas = [...levels, 0]

  return {
    timesteps: levels.map((sigma) => Math.fround(sigma * trainSteps)),
    sigmas,
    initNoiseSigma: 1,
    order: 1,
    scaleModelInput: (sample) => sample,
    step: ({ modelOutput, sample, index }) =>
      toFloat32(
        combine([
          [1, sample],
          [sigmas[index + 1] - sigmas[index], modelOutput],
        ]),
      ),
    addNoise: ({ original, noise, index }) =>
      toFloat32(
        combine([
          [1 - sigmas[index], original],
          [sigmas[index], noise],
        ]),
      ),
  }
}
