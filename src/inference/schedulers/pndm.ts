import { combine, roundHalfEven, type Term, toFloat32, type Values } from './arrays.ts'
import { readAlphas } from './noise-schedule.ts'
import { alphaNoising, levelOfAlpha, predictNoise } from './prediction.ts'
import type { Scheduler, SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, requireSetting, unsupported } from './settings.ts'
import { spaceTimesteps } from './spacing.ts'

const defaults = {
  num_train_timesteps: 1000,
  skip_prk_steps: false,
  set_alpha_to_one: false,
  prediction_type: 'epsilon',
  timestep_spacing: 'leading',
  steps_offset: 0,
}

/** Adams-Bashforth weights by the number of known outputs, newest first. */
const weightsByCount: readonly (readonly number[])[] = [
  [],
  [1],
  [3 / 2, -1 / 2],
  [23 / 12, -16 / 12, 5 / 12],
  [55 / 24, -59 / 24, 37 / 24, -9 / 24],
]

/**
 * PNDM without its Runge-Kutta start, which is how Stable Diffusion uses it (Liu et al. 2022,
 * arXiv 2202.09778, “PLMS”): the second timestep is evaluated twice to start the multistep.
 */
export function createPndm(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  if (!settings.skip_prk_steps) throw unsupported('skip_prk_steps', false)
  requireSetting(settings, { key: 'prediction_type', among: ['epsilon', 'v_prediction'] })
  const alphas = readAlphas(config)
  const finalAlpha = settings.set_alpha_to_one ? 1 : alphas[0]
  const trainSteps = settings.num_train_timesteps
  const stride = Math.floor(trainSteps / steps)
  const timesteps = doubleSecond(
    spaceTimesteps({
      kind: settings.timestep_spacing,
      steps,
      trainSteps,
      offset: settings.steps_offset,
    }).map(roundHalfEven),
  )
  let outputs: readonly Float32Array[] = []
  let firstSample: Float32Array | undefined
  let counter = 0

  /** Equation 11 of the paper, with v-predictions turned into noise first. */
  function transfer(sample: Values, output: Values, [from, to]: readonly [number, number]) {
    const alpha = alphas[from]
    const previous = to >= 0 ? alphas[to] : finalAlpha
    const level = levelOfAlpha(alpha)
    const noise = predictNoise({
      type: settings.prediction_type,
      modelOutput: output,
      sample,
      level,
    })
    const divisor = alpha * Math.sqrt(1 - previous) + Math.sqrt(alpha * (1 - alpha) * previous)
    return toFloat32(
      combine([
        [Math.sqrt(previous / alpha), sample],
        [-(previous - alpha) / divisor, noise],
      ]),
    )
  }

  function step({ modelOutput, sample, index }: StepInput): Float32Array {
    const timestep = timesteps[index]
    const isSecond = counter === 1
    counter += 1
    if (isSecond) {
      // The first step again, now with the mean of both ends' outputs.
      const mean = combine([
        [0.5, modelOutput],
        [0.5, outputs[0]],
      ])
      return transfer(firstSample ?? sample, mean, [timestep + stride, timestep])
    }
    if (counter === 1) firstSample = sample
    outputs = [modelOutput, ...outputs].slice(0, 4)
    const weights = weightsByCount[outputs.length]
    const terms: readonly Term[] = outputs.map((values, i) => [weights[i], values])
    return transfer(sample, combine(terms), [timestep, timestep - stride])
  }

  return {
    timesteps,
    sigmas: null,
    initNoiseSigma: 1,
    order: 1,
    scaleModelInput: (sample) => sample,
    step,
    addNoise: alphaNoising(alphas, timesteps),
  }
}

function doubleSecond(timesteps: readonly number[]): readonly number[] {
  return timesteps.flatMap((timestep, i) => (i === 1 ? [timestep, timestep] : [timestep]))
}
