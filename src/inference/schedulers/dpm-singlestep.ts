import { advance, convertOutput, readDpmSettings } from './dpm-solver.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import type { Scheduler, SchedulerConfig, SchedulerState, StepInput } from './scheduler.ts'
import { readSettings, requireSetting } from './settings.ts'
import { commonFlags } from './sigma-spacing.ts'
import { layOutSolver, shiftedFlow } from './solver-layout.ts'

const orderDefaults = { lower_order_final: false }

/**
 * DPM-Solver and DPM-Solver++ singlestep of order 1 to 3, also as SDE (Lu et al. 2022, arXiv
 * 2211.01095, algorithm 1): groups of evaluations make one step of a higher order, so that the
 * second and third of a group begin again at the first one's sample.
 */
export function createDpmSinglestep(config: SchedulerConfig, steps: number): Scheduler {
  const spacing = { timestep_spacing: 'linspace', steps_offset: 0 }
  const settings = {
    ...readDpmSettings({ ...config, ...spacing }),
    ...readSettings(orderDefaults, config),
  }
  requireSetting(settings, {
    key: 'algorithm_type',
    among: ['dpmsolver++', 'sde-dpmsolver++', 'dpmsolver', 'deis'],
  })
  const { timesteps, sigmas, levels } = layOutSolver(settings, {
    steps,
    config,
    flags: commonFlags,
    rounded: ['use_karras_sigmas'],
    zeroSnr: 'Ignored',
    clipsLambda: true,
    flowSigmas: shiftedFlow,
    endsAtOwnMin: false,
  })
  const orders = listOrders(steps, settings)

  function step(input: StepInput, memory: SchedulerState): Stepped {
    const { index, sample } = input
    const output = convertOutput(settings, { input, level: levels[index] })
    const history = [output, ...memory.history].slice(0, settings.solver_order)
    // A run that begins within a group has no earlier evaluations of it.
    const order = Math.min(orders[index], history.length)
    const start = order === 1 ? sample : (memory.start ?? sample)
    const base = index + 1 - order
    const group = levels.slice(base, index + 1)
    const next = advance(settings, {
      input,
      start,
      levels: [levels[index + 1], ...baseFirst(group.toReversed())],
      outputs: baseFirst(history.slice(0, order)),
      single: true,
    })
    return { sample: next, history, start }
  }

  return makeScheduler({ timesteps, sigmas, levelAt: (index) => levels[index], step })
}

/** The oldest of a group, at which its step begins; then the others, newest first. */
function baseFirst<Item>(newestFirst: readonly Item[]): readonly Item[] {
  return [...newestFirst.slice(-1), ...newestFirst.slice(0, -1)]
}

/** 1, 2, 3, 1, 2, 3, …; an end at σ = 0 needs order 1, and an incomplete group lower orders. */
function listOrders(
  steps: number,
  settings: typeof orderDefaults & {
    readonly solver_order: number
    readonly final_sigmas_type: string
  },
): readonly number[] {
  const { solver_order: highest, final_sigmas_type } = settings
  const lastInGroup = ((steps - 1) % highest) + 1
  const isFull = lastInGroup === highest
  const endsAtZero = final_sigmas_type === 'zero'
  const last = endsAtZero || (settings.lower_order_final && isFull) ? 1 : lastInGroup
  return Array.from({ length: steps }, (_, i) => (i === steps - 1 ? last : (i % highest) + 1))
}
