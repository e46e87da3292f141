import { combine, toFloat32, type Values } from './arrays.ts'
import type { NoiseInput, Scheduler } from './scheduler.ts'
import { unsupported } from './settings.ts'

/** A variance-preserving noise level: sample = alpha · x0 + sigma · noise. */
export type Level = { readonly alpha: number; readonly sigma: number }

export function levelOfSigma(sigma: number): Level {
  const alpha = 1 / Math.sqrt(sigma * sigma + 1)
  return { alpha, sigma: sigma * alpha }
}

export function levelOfAlpha(alphaCumulative: number): Level {
  return { alpha: Math.sqrt(alphaCumulative), sigma: Math.sqrt(1 - alphaCumulative) }
}

export type Prediction = {
  readonly type: string
  readonly modelOutput: Values
  readonly sample: Values
  readonly level: Level
}

/** The clean picture that the model believes in. */
export function predictOriginal(prediction: Prediction): Float64Array {
  const { type, modelOutput, sample, level } = prediction
  switch (type) {
    case 'epsilon':
      return combine([
        [1 / level.alpha, sample],
        [-level.sigma / level.alpha, modelOutput],
      ])
    case 'v_prediction':
      return combine([
        [level.alpha, sample],
        [-level.sigma, modelOutput],
      ])
    case 'sample':
      return combine([[1, modelOutput]])
    default:
      throw unsupported('prediction_type', type)
  }
}

/** The noise that the model sees in the sample. */
export function predictNoise(prediction: Prediction): Float64Array {
  const { type, modelOutput, sample, level } = prediction
  switch (type) {
    case 'epsilon':
      return combine([[1, modelOutput]])
    case 'v_prediction':
      return combine([
        [level.alpha, modelOutput],
        [level.sigma, sample],
      ])
    case 'sample':
      return combine([
        [1 / level.sigma, sample],
        [-level.alpha / level.sigma, modelOutput],
      ])
    default:
      throw unsupported('prediction_type', type)
  }
}

/**
 * The clean picture from an unscaled (variance-exploding) sample x = x0 + σ·noise, the form
 * that Euler, Heun, LMS and DPM2 share.
 */
export function predictOriginalFromSigma(prediction: {
  readonly type: string
  readonly modelOutput: Values
  readonly sample: Values
  readonly sigma: number
}): Float64Array {
  const { type, modelOutput, sample, sigma } = prediction
  const scale = sigma * sigma + 1
  switch (type) {
    case 'epsilon':
      return combine([
        [1, sample],
        [-sigma, modelOutput],
      ])
    case 'v_prediction':
      return combine([
        [1 / scale, sample],
        [-sigma / Math.sqrt(scale), modelOutput],
      ])
    case 'sample':
      return combine([[1, modelOutput]])
    default:
      throw unsupported('prediction_type', type)
  }
}

/** `addNoise` of methods on variance-preserving samples: alpha · x0 + sigma · noise. */
function noising(levelAt: (index: number) => Level): Scheduler['addNoise'] {
  return ({ original, noise, index }: NoiseInput) => {
    const { alpha, sigma } = levelAt(index)
    return toFloat32(
      combine([
        [alpha, original],
        [sigma, noise],
      ]),
    )
  }
}

export function alphaNoising(
  alphas: readonly number[],
  timesteps: readonly number[],
): Scheduler['addNoise'] {
  return noising((index) => levelOfAlpha(alphas[timesteps[index]]))
}

export function sigmaNoising(sigmas: readonly number[]): Scheduler['addNoise'] {
  return noising((index) => levelOfSigma(sigmas[index]))
}
