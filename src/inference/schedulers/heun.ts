import { combine, toFloat32 } from './arrays.ts'
import { predictOriginalFromSigma } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, refuseSettings } from './settings.ts'
import { layOutSigmas, layoutDefaults } from './sigma-layout.ts'
import { initialSigma, sigmaScaling } from './sigma-scaling.ts'

const defaults = {
  ...layoutDefaults,
  prediction_type: 'epsilon',
  beta_start: 0.00085,
  beta_end: 0.012,
}

type Half = {
  readonly derivative: Float64Array
  readonly sample: Float32Array
  readonly dt: number
}

/**
 * Heun steps (Karras et al. 2022, algorithm 1): an Euler step, then the mean of the slopes at
 * both ends. Every sigma but the first and last is evaluated twice.
 */
export function createHeun(config: SchedulerConfig, steps: number): Scheduler {
  refuseSettings(config, ['clip_sample'])
  const settings = readSettings(defaults, config)
  const layout = layOutSigmas(settings, { steps, config })
  const sigmas = layout.sigmas.flatMap((sigma, i) =>
    i === 0 || i === steps ? [sigma] : [sigma, sigma],
  )
  const timesteps = layout.timesteps.flatMap((t, i) => (i === 0 ? [t] : [t, t]))
  let half: Half | undefined

  function step({ modelOutput, sample, index }: StepInput): Float32Array {
    const sigma = sigmas[index]
    const type = settings.prediction_type
    const original = predictOriginalFromSigma({ type, modelOutput, sample, sigma })
    const derivative = combine([
      [1 / sigma, sample],
      [-1 / sigma, original],
    ])
    const first = half
    if (first !== undefined) {
      half = undefined
      return toFloat32(
        combine([
          [1, first.sample],
          [first.dt / 2, first.derivative],
          [first.dt / 2, derivative],
        ]),
      )
    }
    const dt = sigmas[index + 1] - sigma
    half = { derivative, sample, dt }
    return toFloat32(
      combine([
        [1, sample],
        [dt, derivative],
      ]),
    )
  }

  return {
    timesteps,
    sigmas,
    initNoiseSigma: initialSigma(sigmas, settings.timestep_spacing),
    order: 2,
    ...sigmaScaling(sigmas),
    step,
  }
}
