import { combine, toFloat32 } from './arrays.ts'
import { predictOriginalFromSigma } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, requireSetting } from './settings.ts'
import { layOutSigmas, layoutDefaults } from './sigma-layout.ts'
import { initialSigma, sigmaScaling } from './sigma-scaling.ts'

const defaults = {
  ...layoutDefaults,
  prediction_type: 'epsilon',
  interpolation_type: 'linear',
  timestep_type: 'discrete',
}

/** Euler steps (Karras et al. 2022, arXiv 2206.00364, algorithm 2 without churn). */
export function createEuler(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  requireSetting(settings, { key: 'interpolation_type', among: ['linear'] })
  requireSetting(settings, { key: 'timestep_type', among: ['discrete'] })
  const { timesteps, sigmas } = layOutSigmas(settings, { steps, config })

  function step({ modelOutput, sample, index }: StepInput): Float32Array {
    const sigma = sigmas[index]
    const type = settings.prediction_type
    const original = predictOriginalFromSigma({ type, modelOutput, sample, sigma })
    // x + (x − x0) / σ · (σ' − σ), collected by x and x0.
    const ratio = sigmas[index + 1] / sigma
    return toFloat32(
      combine([
        [ratio, sample],
        [1 - ratio, original],
      ]),
    )
  }

  return {
    timesteps,
    sigmas,
    initNoiseSigma: initialSigma(sigmas, settings.timestep_spacing),
    order: 1,
    ...sigmaScaling(sigmas),
    step,
  }
}
