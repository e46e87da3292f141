import { combine, type Term, toFloat32 } from './arrays.ts'
import { levelOfSigma, predictOriginal, sigmaNoising } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, refuseSettings, requireSetting, unsupported } from './settings.ts'
import { layOutSolverSigmas, layoutDefaults } from './sigma-layout.ts'
import { unipcCorrector, unipcPredictor, type UnipcWeights } from './unipc-weights.ts'

const defaults = {
  ...layoutDefaults,
  solver_order: 2,
  prediction_type: 'epsilon',
  predict_x0: true,
  solver_type: 'bh2',
  lower_order_final: true,
}

/**
 * UniPC (Zhao et al. 2023, arXiv 2302.04867): each step first corrects the sample with what the
 * model has just said about it, then predicts the next one.
 */
export function createUnipc(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  refuseSettings(config, ['solver_p', 'shift_terminal', 'use_dynamic_shifting'])
  requireSetting(settings, { key: 'solver_type', among: ['bh1', 'bh2'] })
  requireSetting(settings, { key: 'solver_order', among: [1, 2, 3] })
  if (!settings.predict_x0) throw unsupported('predict_x0', false)
  const { timesteps, sigmas } = layOutSolverSigmas(settings, { steps, config })
  let history: readonly Float64Array[] = []
  let last: { readonly sample: Float32Array; readonly order: number } | undefined

  const solve = (weights: UnipcWeights, sample: Float32Array): Float32Array => {
    const terms: readonly Term[] = weights.history.map((weight, i) => [weight, history[i]])
    return toFloat32(combine([[weights.sample, sample], ...terms]))
  }
  const levelsAround = (index: number, order: number) =>
    sigmas.slice(Math.max(0, index - order), index + 1).toReversed()

  function step(input: StepInput): Float32Array {
    const { index } = input
    const level = levelOfSigma(sigmas[index])
    const original = predictOriginal({ ...input, type: settings.prediction_type, level })
    history = [original, ...history].slice(0, settings.solver_order + 1)
    const { solver_type: kind } = settings
    const sample =
      last === undefined
        ? input.sample
        : solve(unipcCorrector({ sigmas: levelsAround(index, last.order), kind }), last.sample)
    history = history.slice(0, settings.solver_order)
    const left = timesteps.length - index
    const allowed = settings.lower_order_final
      ? Math.min(settings.solver_order, left)
      : settings.solver_order
    const order = Math.min(allowed, history.length)
    last = { sample, order }
    return solve(unipcPredictor({ sigmas: levelsAround(index + 1, order), kind }), sample)
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
