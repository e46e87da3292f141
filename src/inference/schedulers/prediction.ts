import { combine, type Values } from './arrays.ts'
import { unsupported } from './settings.ts'

/** A noise level: sample = alpha · x0 + sigma · noise. */
export type Level = { readonly alpha: number; readonly sigma: number }

/** The variance-preserving level (α² + σ² = 1) with the same ratio of noise to picture. */
export function levelOfSigma(sigma: number): Level {
  const alpha = 1 / Math.sqrt(sigma * sigma + 1)
  return { alpha, sigma: sigma * alpha }
}

/** The level on a straight path from the picture to noise. */
export function levelOfFlow(sigma: number): Level {
  return { alpha: 1 - sigma, sigma }
}

export function levelOfAlpha(alphaCumulative: number): Level {
  return { alpha: Math.sqrt(alphaCumulative), sigma: Math.sqrt(1 - alphaCumulative) }
}

/** What a model may have been trained to say. */
export const predictionTypes = ['epsilon', 'v_prediction', 'sample']

export type Prediction = {
  readonly type: string
  readonly modelOutput: Values
  readonly sample: Values
  readonly level: Level
}

/** The clean picture that the model believes in. */
export function predictOriginal({ type, modelOutput, sample, level }: Prediction): Float64Array {
  const [ofSample, ofOutput] = originalWeights(type, level)
  return combine([
    [ofSample, sample],
    [ofOutput, modelOutput],
  ])
}

/** The same from an unscaled (variance-exploding) sample x0 + σ·noise. */
export function predictOriginalFromSigma(
  prediction: Omit<Prediction, 'level'> & { readonly sigma: number },
): Float64Array {
  const { type, modelOutput, sample, sigma } = prediction
  const level = levelOfSigma(sigma)
  const [ofSample, ofOutput] = originalWeights(type, level)
  return combine([
    [ofSample * level.alpha, sample],
    [ofOutput, modelOutput],
  ])
}

/** The noise that the model sees in the sample. */
export function predictNoise({ type, modelOutput, sample, level }: Prediction): Float64Array {
  const [ofSample, ofOutput] = noiseWeights(type, level)
  return combine([
    [ofSample, sample],
    [ofOutput, modelOutput],
  ])
}

type Pair = readonly [ofSample: number, ofOutput: number]

function originalWeights(type: string, { alpha, sigma }: Level): Pair {
  switch (type) {
    case 'epsilon':
      return [1 / alpha, -sigma / alpha]
    case 'v_prediction':
      return [alpha, -sigma]
    case 'sample':
      return [0, 1]
    case 'flow_prediction':
      return [1, -sigma]
    default:
      throw unsupported('prediction_type', type)
  }
}

function noiseWeights(type: string, { alpha, sigma }: Level): Pair {
  switch (type) {
    case 'epsilon':
      return [0, 1]
    case 'v_prediction':
      return [sigma, alpha]
    case 'sample':
      return [1 / sigma, -alpha / sigma]
    default:
      throw unsupported('prediction_type', type)
  }
}
