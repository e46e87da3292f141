import { combine, interpolate } from './arrays.ts'
import type { Method } from './make-scheduler.ts'
import { readAlphas, sigmasOf, type ZeroSnr } from './noise-schedule.ts'
import { predictionTypes, predictOriginalFromSigma } from './prediction.ts'
import type { SchedulerConfig, StepInput } from './scheduler.ts'
import { readSettings, requireSetting } from './settings.ts'
import {
  readSigmaFlag,
  readSigmaRange,
  settleTimestep,
  type SigmaFlag,
  spaceSigmas,
  timestepOfSigma,
} from './sigma-spacing.ts'
import { spaceTimesteps, spacingDefaults } from './spacing.ts'

/** Settings that all methods on unscaled samples x = x0 + σ·noise share. */
const defaults = { ...spacingDefaults, prediction_type: 'epsilon' }

export function readSigmaSettings(config: SchedulerConfig): typeof defaults {
  const settings = readSettings(defaults, config)
  requireSetting(settings, { key: 'prediction_type', among: predictionTypes })
  return settings
}

export type SigmaLayout = {
  readonly timesteps: readonly number[]
  /** One more than timesteps: the last is where the run ends. */
  readonly sigmas: readonly number[]
  /** log σ of every training timestep, for finding timesteps of other sigmas. */
  readonly logSigmas: readonly number[]
}

export type LayoutPlan = {
  readonly steps: number
  readonly config: SchedulerConfig
  /** The spacings that the method knows. */
  readonly flags: readonly SigmaFlag[]
  readonly zeroSnr?: ZeroSnr
  /** Ends at the smallest level of training instead of at 0. */
  readonly endsAtMin?: boolean
  /** What the method puts in place of the training levels at its timesteps. */
  readonly levelsOf?: (training: readonly number[]) => readonly number[]
}

/**
 * Layout of Euler, Euler a, Heun, LMS and DPM2: evenly spread timesteps, which may be fractional,
 * with the noise levels that training had there; or levels spread by a curve over the same range,
 * with the timesteps found by them.
 */
export function layOutSigmas(plan: LayoutPlan): SigmaLayout {
  const { config, steps, zeroSnr = 'Ignored' } = plan
  const training = sigmasOf(readAlphas(config, zeroSnr))
  const logSigmas = training.map((sigma) => Math.fround(Math.log(sigma)))
  const timesteps = spaceTimesteps(readSigmaSettings(config), { steps })
  const spread = timesteps.map(Math.fround)
  const plain = plan.levelsOf?.(training) ?? spread.map((at) => interpolate(training, at))
  const end = plan.endsAtMin ? training[0] : 0
  const flag = readSigmaFlag(config, plan.flags)
  if (flag === undefined) return { timesteps: spread, sigmas: [...plain, end], logSigmas }
  const own = { min: plain[plain.length - 1], max: plain[0] }
  const sigmas = spaceSigmas(flag, readSigmaRange(config, own), steps)
  const found = sigmas.map((sigma) => settleTimestep(timestepOfSigma(sigma, logSigmas)))
  return { timesteps: found, sigmas: [...sigmas, end], logSigmas }
}

/** How these methods feed the model and add noise; `spacing` decides how strong noise begins. */
export function sigmaNoising(
  sigmas: readonly number[],
  spacing: string,
): Pick<Method, 'sigmas' | 'initNoiseSigma' | 'levelAt' | 'inputScaleAt'> {
  const largest = Math.max(...sigmas)
  return {
    sigmas,
    initNoiseSigma: spacing === 'leading' ? Math.sqrt(largest * largest + 1) : largest,
    levelAt: (index) => ({ alpha: 1, sigma: sigmas[index] }),
    inputScaleAt: (index) => 1 / Math.sqrt(sigmas[index] ** 2 + 1),
  }
}

/** A move along the line from the predicted picture through the sample, to another σ. */
export function moveToSigma(
  input: StepInput & { readonly type: string },
  { from, to }: { readonly from: number; readonly to: number },
): Float64Array {
  const original = predictOriginalFromSigma({ ...input, sigma: from })
  // x + (x − x0) / σ · (σ' − σ), collected by x and x0.
  return combine([
    [to / from, input.sample],
    [1 - to / from, original],
  ])
}

/** Slope dx/dσ = (x − x0) / σ of the probability-flow line (Karras et al. 2022, equation 4). */
export function slopeAt(
  { sample, sigma }: { readonly sample: Float32Array; readonly sigma: number },
  original: Float64Array,
): Float64Array {
  return combine([
    [1 / sigma, sample],
    [-1 / sigma, original],
  ])
}

/** An ancestral step goes from `from` to `down` and then adds noise of `up`: √(down² + up²) = to. */
export function ancestralSplit(
  from: number,
  to: number,
): { readonly down: number; readonly up: number } {
  const up = from === 0 ? 0 : Math.sqrt((to ** 2 * (from ** 2 - to ** 2)) / from ** 2)
  return { down: Math.sqrt(Math.max(0, to ** 2 - up ** 2)), up }
}
