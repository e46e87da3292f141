import { ancestralSplit } from './ancestral.ts'
import { combine, toFloat32 } from './arrays.ts'
import { predictOriginalFromSigma } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings } from './settings.ts'
import { layOutSigmas, layoutDefaults } from './sigma-layout.ts'
import { initialSigma, sigmaScaling } from './sigma-scaling.ts'

const defaults = { ...layoutDefaults, prediction_type: 'epsilon' }

/** Euler steps that go too far down and add fresh noise (k-diffusion's ancestral sampling). */
export function createEulerAncestral(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  const { timesteps, sigmas } = layOutSigmas(settings, { steps, config })

  function step({ modelOutput, sample, index, drawNoise }: StepInput): Float32Array {
    const sigma = sigmas[index]
    const type = settings.prediction_type
    const original = predictOriginalFromSigma({ type, modelOutput, sample, sigma })
    const { down, up } = ancestralSplit(sigma, sigmas[index + 1])
    const ratio = down / sigma
    return toFloat32(
      combine([
        [ratio, sample],
        [1 - ratio, original],
        [up, drawNoise()],
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
