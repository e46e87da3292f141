import { combine, type Term, toFloat32 } from './arrays.ts'
import { type SolverWeights, solverWeights } from './dpm-weights.ts'
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
  lower_order_final: true,
  euler_at_final: false,
}
type Settings = typeof defaults

/** From here on, the last steps are accurate enough without falling back to lower orders. */
const fewSteps = 15

/**
 * DPM-Solver++ multistep of order 1 to 3, also its SDE form (Lu et al. 2022, arXiv 2211.01095,
 * algorithm 2). The solver works on x0 predictions and on λ = log(α/σ).
 */
export function createDpmMultistep(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  checkSettings(settings)
  const { timesteps, sigmas } = layOutSolverSigmas(settings, { steps, config })
  const noisy = settings.algorithm_type === 'sde-dpmsolver++'
  let history: readonly Float64Array[] = []

  function step(input: StepInput): Float32Array {
    const { index, sample } = input
    const level = levelOfSigma(sigmas[index])
    const original = predictOriginal({ ...input, type: settings.prediction_type, level })
    history = [original, ...history].slice(0, settings.solver_order)
    const order = orderAt(settings, {
      left: timesteps.length - index,
      known: history.length,
      total: timesteps.length,
    })
    const weights = solverWeights({
      sigmas: sigmas.slice(Math.max(0, index + 1 - order), index + 2).toReversed(),
      order,
      noisy,
      heun: settings.solver_type === 'heun',
    })
    const noise: readonly Term[] = noisy ? [[weights.noise, input.drawNoise()]] : []
    return toFloat32(
      combine([[weights.sample, sample], ...historyTerms(weights, history), ...noise]),
    )
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

function historyTerms(weights: SolverWeights, history: readonly Float64Array[]): readonly Term[] {
  return weights.history.map((weight, i) => [weight, history[i]])
}

/** The order that history, the schedule's end and the settings allow for this step. */
function orderAt(
  settings: Settings,
  at: { readonly left: number; readonly known: number; readonly total: number },
): number {
  const lower = settings.lower_order_final && at.total < fewSteps
  const endsAtZero = settings.final_sigmas_type === 'zero'
  if (at.left === 1 && (settings.euler_at_final || lower || endsAtZero)) return 1
  const allowed = at.left === 2 && lower ? 2 : settings.solver_order
  return Math.min(allowed, at.known)
}

function checkSettings(settings: Settings): void {
  requireSetting(settings, { key: 'algorithm_type', among: ['dpmsolver++', 'sde-dpmsolver++'] })
  requireSetting(settings, { key: 'solver_type', among: ['midpoint', 'heun'] })
  requireSetting(settings, { key: 'solver_order', among: [1, 2, 3] })
}
