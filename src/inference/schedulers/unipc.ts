import { combine, linspace, type Term, toFloat32, type Values } from './arrays.ts'
import { limitOriginal } from './limit-original.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import { predictNoise, predictOriginal } from './prediction.ts'
import type { Scheduler, SchedulerConfig, SchedulerState, StepInput } from './scheduler.ts'
import { readSettings, refuseSettings, requireSetting, unsupported } from './settings.ts'
import { commonFlags } from './sigma-spacing.ts'
import { frameOf, type SolverForm } from './solver-frame.ts'
import { layOutSolver, shiftFlow, solverDefaults, type SolverSettings } from './solver-layout.ts'
import { unipcCorrector, unipcPredictor } from './unipc-weights.ts'

const defaults = {
  ...solverDefaults,
  predict_x0: true,
  solver_type: 'bh2',
  lower_order_final: true,
}

/**
 * UniPC (Zhao et al. 2023, arXiv 2302.04867): each step first corrects the sample with what the
 * model has just said about it, then predicts the next one.
 */
export function createUnipc(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readUnipcSettings(config)
  const kind = settings.solver_type === 'bh1' ? 'bh1' : 'bh2'
  const form: SolverForm = { predicts: settings.predict_x0 ? 'Original' : 'Noise', noisy: false }
  const uncorrected = readIndices(config)
  const { timesteps, sigmas, levels } = layOutSolver(settings, {
    steps,
    config,
    flags: commonFlags,
    rounded: ['use_karras_sigmas'],
    zeroSnr: 'Nearly',
    clipsLambda: false,
    flowSigmas,
    endsAtOwnMin: true,
  })

  const orderAt = (index: number, known: number) => {
    const left = settings.lower_order_final ? timesteps.length - index : Infinity
    return Math.min(settings.solver_order, left, known)
  }
  const frameBefore = (index: number, order: number) =>
    frameOf(levels.slice(index - order, index + 1).toReversed(), form)

  /** The corrected sample at this evaluation; `outputs` begin with what the model says here. */
  function correct(
    { index, sample }: StepInput,
    { start, history }: SchedulerState,
    output: Values,
  ): Float32Array {
    if (start === null || uncorrected.includes(index - 1)) return sample
    const frame = frameBefore(index, orderAt(index - 1, history.length))
    const outputs = [output, ...history]
    return toFloat32(join(unipcCorrector(frame, kind), outputs, [frame.ratio, start]))
  }

  function step(input: StepInput, memory: SchedulerState): Stepped {
    const { index } = input
    const prediction = { ...input, type: settings.prediction_type, level: levels[index] }
    const output = settings.predict_x0
      ? limitOriginal(settings, predictOriginal(prediction))
      : predictNoise(prediction)
    const start = correct(input, memory, output)
    const history = [output, ...memory.history].slice(0, settings.solver_order)
    const frame = frameBefore(index + 1, orderAt(index, history.length))
    const sample = join(unipcPredictor(frame, kind), history, [frame.ratio, start])
    return { sample, history, start }
  }

  return makeScheduler({ timesteps, sigmas, levelAt: (index) => levels[index], step })
}

function join(weights: readonly number[], outputs: readonly Values[], base: Term): Float64Array {
  return combine([base, ...weights.map((weight, i): Term => [weight, outputs[i]])])
}

function readUnipcSettings(config: SchedulerConfig): typeof defaults {
  const settings = readSettings(defaults, config)
  refuseSettings(config, ['solver_p', 'shift_terminal', 'use_dynamic_shifting'])
  // The words of DPM-Solver mean bh2 here.
  const solvers = ['bh1', 'bh2', 'midpoint', 'heun', 'logrho']
  requireSetting(settings, { key: 'solver_type', among: solvers })
  if (settings.predict_x0) return settings
  if (settings.final_sigmas_type === 'zero') {
    throw unsupported('final_sigmas_type', 'zero', 'cannot go with predict_x0=false')
  }
  if (settings.prediction_type === 'flow_prediction') {
    throw unsupported('prediction_type', settings.prediction_type)
  }
  return settings
}

/** Steps after which the sample is not corrected. */
function readIndices(config: SchedulerConfig): readonly unknown[] {
  const value = config['disable_corrector'] ?? []
  if (!Array.isArray(value)) throw unsupported('disable_corrector', value)
  return value
}

/** Straight levels from pure noise, which is kept a little off so that its λ is finite. */
function flowSigmas({ num_train_timesteps, flow_shift }: SolverSettings, steps: number) {
  const straight = linspace(1, 1 / num_train_timesteps, steps + 1).slice(0, -1)
  const sigmas = straight.map((sigma) => shiftFlow(sigma, flow_shift))
  return Math.abs(sigmas[0] - 1) < 1e-6 ? sigmas.with(0, sigmas[0] - 1e-6) : sigmas
}
