import { combine, type Term, toFloat32 } from './arrays.ts'
import { predictOriginalFromSigma } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings } from './settings.ts'
import { layOutSigmas, layoutDefaults } from './sigma-layout.ts'
import { initialSigma, sigmaScaling } from './sigma-scaling.ts'

const defaults = { ...layoutDefaults, prediction_type: 'epsilon' }
const orderMax = 4

/** Linear multistep of order 4: the slope is a polynomial through the last four slopes. */
export function createLms(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  const { timesteps, sigmas } = layOutSigmas(settings, { steps, config })
  let derivatives: readonly Float64Array[] = []

  function step({ modelOutput, sample, index }: StepInput): Float32Array {
    const sigma = sigmas[index]
    const type = settings.prediction_type
    const original = predictOriginalFromSigma({ type, modelOutput, sample, sigma })
    const derivative = combine([
      [1 / sigma, sample],
      [-1 / sigma, original],
    ])
    derivatives = [derivative, ...derivatives].slice(0, orderMax)
    const order = Math.min(index + 1, orderMax)
    // When the run began in the middle, the polynomial has more points than there are slopes.
    const terms: readonly Term[] = derivatives
      .slice(0, order)
      .map((values, current) => [integrate(sigmas, { order, index, current }), values])
    return toFloat32(combine([[1, sample], ...terms]))
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

type Basis = { readonly order: number; readonly index: number; readonly current: number }

/**
 * Integral of one Lagrange polynomial over the step. Its degree is 3 at most, so Gauss's
 * two-point rule is exact.
 */
function integrate(sigmas: readonly number[], basis: Basis): number {
  const [from, to] = [sigmas[basis.index], sigmas[basis.index + 1]]
  const [middle, radius] = [(from + to) / 2, (to - from) / 2]
  const offset = radius / Math.sqrt(3)
  const sum = lagrange(sigmas, basis, middle - offset) + lagrange(sigmas, basis, middle + offset)
  return radius * sum
}

function lagrange(sigmas: readonly number[], basis: Basis, at: number): number {
  const { order, index, current } = basis
  let product = 1
  for (let k = 0; k < order; k++) {
    if (k === current) continue
    product *= (at - sigmas[index - k]) / (sigmas[index - current] - sigmas[index - k])
  }
  return product
}
