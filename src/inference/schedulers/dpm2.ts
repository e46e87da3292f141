import { ancestralSplit } from './ancestral.ts'
import { combine, roundHalfEven, toFloat32 } from './arrays.ts'
import { predictOriginalFromSigma } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings } from './settings.ts'
import { layOutSigmas, layoutDefaults, type LayoutSettings } from './sigma-layout.ts'
import { initialSigma, sigmaScaling } from './sigma-scaling.ts'
import { timestepOfSigma } from './sigma-spacing.ts'

const defaults = {
  ...layoutDefaults,
  prediction_type: 'epsilon',
  beta_start: 0.00085,
  beta_end: 0.012,
}

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
  const settings = readSettings(defaults, config)
  const { stages, timesteps, sigmas } = layOut(settings, { config, ...plan })
  // Evaluation 2i is at stage i's start, 2i + 1 at its middle; the last stage has no middle.
  const levels = stages.flatMap(({ from, middle }) => [from, middle])
  let start: Float32Array | undefined

  function step({ modelOutput, sample, index, drawNoise }: StepInput): Float32Array {
    const stage = stages[Math.floor(index / 2)]
    const sigma = levels[index]
    const type = settings.prediction_type
    const original = predictOriginalFromSigma({ type, modelOutput, sample, sigma })
    const isFirst = start === undefined
    const from = start ?? sample
    const target = isFirst ? stage.middle : stage.down
    start = isFirst ? sample : undefined
    const slope = (target - stage.from) / sigma
    const next = combine([
      [1, from],
      [slope, sample],
      [-slope, original],
    ])
    if (isFirst || !plan.ancestral) return toFloat32(next)
    return toFloat32(
      combine([
        [1, next],
        [stage.up, drawNoise()],
      ]),
    )
  }

  return {
    timesteps,
    sigmas,
    initNoiseSigma: initialSigma(sigmas, settings.timestep_spacing),
    order: 2,
    ...sigmaScaling(levels),
    step,
    addNoise: sigmaScaling(sigmas).addNoise,
  }
}

function layOut(
  settings: LayoutSettings,
  plan: Plan & { readonly config: SchedulerConfig },
): {
  readonly stages: readonly Stage[]
  readonly timesteps: readonly number[]
  readonly sigmas: readonly number[]
} {
  const layout = layOutSigmas(settings, plan)
  const { sigmas, logSigmas } = layout
  const stages = layout.timesteps.map((_, i) => stageOf(sigmas[i], sigmas[i + 1], plan.ancestral))
  const round = settings.use_karras_sigmas ? roundHalfEven : Math.fround
  const timesteps = layout.timesteps.flatMap((timestep, i) =>
    i === stages.length - 1
      ? [round(timestep)]
      : [round(timestep), timestepOfSigma(stages[i].middle, logSigmas)],
  )
  const doubled = sigmas.flatMap((sigma, i) => (i === 0 ? [sigma] : [sigma, sigma]))
  return { stages, timesteps, sigmas: [...doubled, sigmas[sigmas.length - 1]] }
}

function stageOf(from: number, to: number, ancestral: boolean): Stage {
  const { down, up } = ancestral ? ancestralSplit(from, to) : { down: to, up: 0 }
  // The geometric mean; 0 where the step ends at 0.
  return { from, middle: Math.sqrt(from * down), down, up }
}
