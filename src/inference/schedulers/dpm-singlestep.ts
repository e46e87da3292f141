import { combine, type Term, toFloat32 } from './arrays.ts'
import { solverWeights } from './dpm-weights.ts'
import { levelOfSigma, predictOriginal, sigmaNoising } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, requireSetting } from './settings.ts'
import { layOutSolverSigmas, layoutDefaults } from './sigma-layout.ts'

const defaults = {
  ...layoutDefaults,
  solver_order: 2,
  prediction_type: 'epsilon',
  algorithm_type: 'dpmsolver++',
  solver_type: 'midpoint',
}

/**
 * DPM-Solver++ singlestep of order 2 (Lu et al. 2022, arXiv 2211.01095, algorithm 1). Pairs of
 * evaluations make one step of order 2: the second one begins again at the first one's sample.
 */
export function createDpmSinglestep(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, { ...config, timestep_spacing: 'linspace' })
  requireSetting(settings, { key: 'algorithm_type', among: ['dpmsolver++'] })
  requireSetting(settings, { key: 'solver_type', among: ['midpoint', 'heun'] })
  requireSetting(settings, { key: 'solver_order', among: [1, 2] })
  const { timesteps, sigmas } = layOutSolverSigmas(settings, { steps, config })
  const orders = listOrders(steps, settings)
  let history: readonly Float64Array[] = []
  let pairStart: Float32Array | undefined

  function step(input: StepInput): Float32Array {
    const { index, sample } = input
    const level = levelOfSigma(sigmas[index])
    const original = predictOriginal({ ...input, type: settings.prediction_type, level })
    history = [original, ...history].slice(0, 2)
    const order = Math.min(orders[index], history.length)
    if (order === 1) pairStart = sample
    // For a pair, the older prediction is the base and the newer one the intermediate point.
    const points =
      order === 1
        ? [sigmas[index + 1], sigmas[index]]
        : [sigmas[index + 1], sigmas[index - 1], sigmas[index]]
    const predictions = order === 1 ? history : history.toReversed()
    const heun = settings.solver_type === 'heun'
    const weights = solverWeights({ sigmas: points, order, noisy: false, heun })
    const terms: readonly Term[] = weights.history.map((weight, i) => [weight, predictions[i]])
    return toFloat32(combine([[weights.sample, pairStart ?? sample], ...terms]))
  }

  return {
    timesteps,
    sigmas,
    initNoiseSigma: 1,
    order: 1,
    scaleModelInput: (sample) => sample,
    step,
    addNoise: sigmaNoising(sigmas),
  }
}

/** 1, 2, 1, 2, …; the run ends with order 1. */
function listOrders(steps: number, settings: typeof defaults): readonly number[] {
  return Array.from({ length: steps }, (_, i) => {
    const isLast = i === steps - 1
    return settings.solver_order === 1 || isLast || i % 2 === 0 ? 1 : 2
  })
}
