import { combine, roundHalfEven } from './arrays.ts'
import { makeScheduler, type Stepped } from './make-scheduler.ts'
import { latentBetas } from './noise-schedule.ts'
import { predictOriginalFromSigma } from './prediction.ts'
import type { Scheduler, SchedulerConfig, SchedulerState, StepInput } from './scheduler.ts'
import { ancestralSplit, layOutSigmas, readSigmaSettings, sigmaNoising } from './sigma-method.ts'
import { commonFlags, readSigmaFlag, settleTimestep, timestepOfSigma } from './sigma-spacing.ts'

/** DPM2 (Karras et al. 2022, algorithm 2): a half step to the middle, then the whole step. */
export function createDpm2(config: SchedulerConfig, steps: number): Scheduler {
  return createTwoStage(config, { steps, ancestral: false })
}

/** DPM2 a: the same with fresh noise after each whole step. */
export function createDpm2Ancestral(config: SchedulerConfig, steps: number): Scheduler {
  return createTwoStage(config, { steps, ancestral: true })
}

/** One step from `from`: the model is asked at `from` and again at `middle`. */
type Stage = {
  readonly from: number
  readonly middle: number
  readonly down: number
  readonly up: number
}

type Plan = { readonly steps: number; readonly ancestral: boolean }

function createTwoStage(config: SchedulerConfig, plan: Plan): Scheduler {
  const { prediction_type: type, timestep_spacing } = readSigmaSettings(config)
  const { stages, timesteps, sigmas } = layOut({ ...latentBetas, ...config }, plan)
  // Evaluation 2i is at stage i's start, 2i + 1 at its middle; the last stage has no middle.
  const levels = stages.flatMap(({ from, middle }) => [from, middle])

  function step(input: StepInput, { start }: SchedulerState): Stepped {
    const { sample, index } = input
    const stage = stages[Math.floor(index / 2)]
    const sigma = levels[index]
    const original = predictOriginalFromSigma({ ...input, type, sigma })
    const slope = ((start === null ? stage.middle : stage.down) - stage.from) / sigma
    const next = combine([
      [1, start ?? sample],
      [slope, sample],
      [-slope, original],
    ])
    if (start === null) return { sample: next, start: sample }
    if (!plan.ancestral) return { sample: next, start: null }
    const noised = combine([
      [1, next],
      [stage.up, input.drawNoise()],
    ])
    return { sample: noised, start: null }
  }

  return makeScheduler({
    timesteps,
    order: 2,
    ...sigmaNoising(sigmas, timestep_spacing),
    inputScaleAt: (index) => 1 / Math.sqrt(levels[index] ** 2 + 1),
    step,
  })
}

function layOut(
  config: SchedulerConfig,
  { steps, ancestral }: Plan,
): {
  readonly stages: readonly Stage[]
  readonly timesteps: readonly number[]
  readonly sigmas: readonly number[]
} {
  const layout = layOutSigmas({ steps, config, flags: commonFlags })
  const { sigmas, logSigmas } = layout
  const stages = layout.timesteps.map((_, i) => stageOf(sigmas[i], sigmas[i + 1], ancestral))
  const isKarras = readSigmaFlag(config, commonFlags) === 'use_karras_sigmas'
  const starts = isKarras ? layout.timesteps.map(roundHalfEven) : layout.timesteps
  const timesteps = starts.flatMap((timestep, i) =>
    i === stages.length - 1
      ? [timestep]
      : [timestep, settleTimestep(timestepOfSigma(stages[i].middle, logSigmas))],
  )
  const doubled = sigmas.flatMap((sigma, i) => (i === 0 ? [sigma] : [sigma, sigma]))
  return { stages, timesteps, sigmas: [...doubled, sigmas[sigmas.length - 1]] }
}

function stageOf(from: number, to: number, ancestral: boolean): Stage {
  const { down, up } = ancestral ? ancestralSplit(from, to) : { down: to, up: 0 }
  // The geometric mean; 0 where the step ends at 0.
  return { from, middle: Math.sqrt(from * down), down, up }
}
