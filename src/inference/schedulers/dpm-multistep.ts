import { advance, convertOutput, readDpmSettings } from './dpm-solver.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import type { Scheduler, SchedulerConfig, SchedulerState, StepInput } from './scheduler.ts'
import { readSettings, unsupported } from './settings.ts'
import { commonFlags, type SigmaFlag } from './sigma-spacing.ts'
import { layOutSolver, shiftedFlow } from './solver-layout.ts'

const orderDefaults = { lower_order_final: true, euler_at_final: false, beta_schedule: 'linear' }

/** From here on, the last steps are accurate enough without falling back to lower orders. */
const fewSteps = 15

/**
 * DPM-Solver and DPM-Solver++ multistep of order 1 to 3, also as SDE (Lu et al. 2022, arXiv
 * 2211.01095, algorithm 2): the other points of an update are earlier steps.
 */
export function createDpmMultistep(config: SchedulerConfig, steps: number): Scheduler {
  const settings = { ...readDpmSettings(config), ...readSettings(orderDefaults, config) }
  if (settings.algorithm_type === 'sde-dpmsolver' && settings.solver_order === 3) {
    throw unsupported('solver_order', 3, 'is not defined for algorithm_type=sde-dpmsolver')
  }
  const curves: readonly SigmaFlag[] = ['use_karras_sigmas', 'use_lu_lambdas']
  const { timesteps, sigmas, levels } = layOutSolver(settings, {
    steps,
    config,
    flags: [...commonFlags, 'use_lu_lambdas'],
    rounded: settings.beta_schedule === 'squaredcos_cap_v2' ? [] : curves,
    zeroSnr: 'Nearly',
    clipsLambda: true,
    flowSigmas: shiftedFlow,
    endsAtOwnMin: false,
  })

  function step(input: StepInput, memory: SchedulerState): Stepped {
    const { index } = input
    const output = convertOutput(settings, { input, level: levels[index] })
    const history = [output, ...memory.history].slice(0, settings.solver_order)
    const left = timesteps.length - index
    const order = orderAt(settings, { left, known: history.length, total: timesteps.length })
    const sample = advance(settings, {
      input,
      start: input.sample,
      levels: levels.slice(index + 1 - order, index + 2).toReversed(),
      outputs: history,
      single: false,
    })
    return { sample, history }
  }

  return makeScheduler({ timesteps, sigmas, levelAt: (index) => levels[index], step })
}

/** The order that history, the schedule's end and the settings allow for this step. */
function orderAt(
  settings: typeof orderDefaults & {
    readonly solver_order: number
    readonly final_sigmas_type: string
  },
  at: { readonly left: number; readonly known: number; readonly total: number },
): number {
  const lower = settings.lower_order_final && at.total < fewSteps
  const endsAtZero = settings.final_sigmas_type === 'zero'
  if (at.left === 1 && (settings.euler_at_final || lower || endsAtZero)) return 1
  const allowed = at.left === 2 && lower ? 2 : settings.solver_order
  return Math.min(allowed, at.known)
}
