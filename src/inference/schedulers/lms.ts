import { combine, type Term } from './arrays.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import { predictOriginalFromSigma } from './prediction.ts'
import type { Scheduler, SchedulerConfig, SchedulerState, StepInput } from './scheduler.ts'
import { layOutSigmas, readSigmaSettings, sigmaNoising, slopeAt } from './sigma-method.ts'
import { commonFlags, readSigmaFlag } from './sigma-spacing.ts'

const orderMax = 4

/** Linear multistep of order 4: the slope is a polynomial through the last four slopes. */
export function createLms(config: SchedulerConfig, steps: number): Scheduler {
  const { prediction_type: type, timestep_spacing } = readSigmaSettings(config)
  const isKarras = readSigmaFlag(config, commonFlags) === 'use_karras_sigmas'
  // The reference's own Karras spacing does not know these two.
  const layoutConfig = isKarras ? { ...config, sigma_min: null, sigma_max: null } : config
  const layout = layOutSigmas({ steps, config: layoutConfig, flags: commonFlags })
  const { timesteps, sigmas } = layout

  function step(input: StepInput, memory: SchedulerState): Stepped {
    const { index, sample } = input
    const sigma = sigmas[index]
    const slope = slopeAt({ sample, sigma }, predictOriginalFromSigma({ ...input, type, sigma }))
    const history = [slope, ...memory.history].slice(0, orderMax)
    const order = Math.min(index + 1, orderMax)
    // When the run began in the middle, the polynomial has more points than there are slopes.
    const terms: readonly Term[] = history
      .slice(0, order)
      .map((values, current) => [integrate(sigmas, { order, index, current }), values])
    return { sample: combine([[1, sample], ...terms]), history }
  }

  return makeScheduler({ timesteps, ...sigmaNoising(sigmas, timestep_spacing), step })
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
