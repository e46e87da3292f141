import { combine, roundHalfEven, type Term, type Values } from './arrays.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import { alphaNoising, readAlphas } from './noise-schedule.ts'
import { levelOfAlpha, predictNoise } from './prediction.ts'
import type { Scheduler, SchedulerConfig, SchedulerState, StepInput } from './scheduler.ts'
import { readSettings, requireSetting, unsupported } from './settings.ts'
import { spaceTimesteps, spacingDefaults } from './spacing.ts'

const defaults = {
  ...spacingDefaults,
  timestep_spacing: 'leading',
  skip_prk_steps: false,
  set_alpha_to_one: false,
  prediction_type: 'epsilon',
}

/** Adams-Bashforth weights by the number of known outputs, newest first. */
const adamsBashforth: readonly (readonly number[])[] = [
  [],
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
]
/** Weights of a Runge-Kutta step's four outputs, newest first. */
const rungeKutta = [1 / 6, 1 / 3, 1 / 3, 1 / 6]
const rungeKuttaSteps = 3

/**
 * PNDM (Liu et al. 2022, arXiv 2202.09778, algorithm 2). It begins with three Runge-Kutta steps
 * of four evaluations each; with `skip_prk_steps`, as Stable Diffusion uses it, the second
 * timestep is evaluated twice instead to start the linear multistep.
 */
export function createPndm(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  requireSetting(settings, { key: 'prediction_type', among: ['epsilon', 'v_prediction'] })
  const alphas = readAlphas(config, 'Ignored')
  const type = settings.prediction_type
  const stride = Math.floor(settings.num_train_timesteps / steps)
  const spaced = spaceTimesteps(settings, { steps }).map(roundHalfEven)
  const start = settings.skip_prk_steps ? [] : rungeKuttaTimesteps(spaced, stride)
  const timesteps = settings.skip_prk_steps
    ? spaced.flatMap((timestep, i) => (i === 1 ? [timestep, timestep] : [timestep]))
    : [...start, ...spaced.slice(rungeKuttaSteps)]

  /** Equation 11 of the paper, with v-predictions turned into noise first. */
  function transfer(sample: Values, output: Values, [from, to]: readonly [number, number]) {
    const alpha = alphas[from]
    const previous = to >= 0 ? alphas[to] : settings.set_alpha_to_one ? 1 : alphas[0]
    const level = levelOfAlpha(alpha)
    const noise = predictNoise({ type, modelOutput: output, sample, level })
    const divisor = alpha * Math.sqrt(1 - previous) + Math.sqrt(alpha * (1 - alpha) * previous)
    return combine([
      [Math.sqrt(previous / alpha), sample],
      [-(previous - alpha) / divisor, noise],
    ])
  }

  /** Three tries from the first sample of four, then the step by the mean of all outputs. */
  function stepRungeKutta(input: StepInput, { count, history, start: held }: SchedulerState) {
    const { modelOutput, index } = input
    const part = count % 4
    const first = part === 0 ? input.sample : (held ?? input.sample)
    const outputs = [modelOutput, ...history]
    const path = [
      start[count - part],
      timesteps[index] - (part % 2 === 0 ? Math.floor(stride / 2) : 0),
    ] as const
    if (part < 3)
      return { sample: transfer(first, modelOutput, path), history: outputs, start: first }
    const sample = transfer(first, weigh(rungeKutta, outputs), path)
    // Of the four outputs, only the first one lies on the line that the multistep goes on with.
    return { sample, history: outputs.slice(3), start: null }
  }

  function step(input: StepInput, memory: SchedulerState): Stepped {
    const { modelOutput, sample, index } = input
    if (memory.count < start.length) return stepRungeKutta(input, memory)
    const timestep = timesteps[index]
    if (settings.skip_prk_steps && memory.count === 1) {
      // The first step again, now with the mean of both ends' outputs.
      const mean = weigh([0.5, 0.5], [modelOutput, memory.history[0]])
      const again = transfer(memory.start ?? sample, mean, [timestep + stride, timestep])
      return { sample: again, start: null }
    }
    const history = [modelOutput, ...memory.history].slice(0, 4)
    const output = weigh(adamsBashforth[history.length], history)
    const next = transfer(sample, output, [timestep, timestep - stride])
    return { sample: next, history, start: memory.count === 0 ? sample : null }
  }

  return makeScheduler({ ...alphaNoising({ alphas, timesteps, type }), step })
}

function weigh(weights: readonly number[], values: readonly Values[]): Float64Array {
  return combine(weights.map((weight, i): Term => [weight, values[i]]))
}

/** Three steps through their middles: t, twice t − ½, twice t − 1, twice t − 1½, … */
function rungeKuttaTimesteps(spaced: readonly number[], stride: number): readonly number[] {
  if (spaced.length <= rungeKuttaSteps) {
    throw unsupported('skip_prk_steps', false, `needs more than ${rungeKuttaSteps} steps`)
  }
  const half = Math.floor(stride / 2)
  return spaced.slice(0, rungeKuttaSteps).flatMap((timestep, i) => {
    const next = spaced[i + 1]
    return [timestep, next + half, next + half, next]
  })
}
