import type { Mask } from '../images/mask.ts'
import type { Picture } from '../images/picture.ts'
import { AppError } from '../../shared/errors.ts'
import type { TorchGenerator } from '../random/torch-generator.ts'
import type { FloatTensor } from '../runtime/component.ts'
import type { DiffusionModel } from './model.ts'

/** Where the latents of a picture may lie, as the autoencoder says: [1, channels, h, w] each. */
export type LatentDistribution = {
  readonly mean: FloatTensor
  /** Absent for legacy encoders, which sample inside the graph: the job's seed has no say there. */
  readonly deviation?: Float32Array
}

/** diffusers' bounds of the logarithm of the variance. */
const [logVarianceMin, logVarianceMax] = [-30, 20]

/** Runs the encoder; with a mask, what is to be repainted is grey (0 in −1..1) before. */
export async function encodePicture(
  model: DiffusionModel,
  picture: Picture,
  mask?: Mask,
): Promise<LatentDistribution> {
  if (!model.parts.has('vae_encoder')) {
    throw new AppError(
      'inference.unsupported',
      'the model has no vae_encoder, so it takes no image',
    )
  }
  const encoder = await model.parts.open('vae_encoder')
  const outputs = await encoder.run({ [encoder.inputs[0].name]: toTensor(picture, mask) })
  const { data, shape } = outputs[encoder.outputs[0].name]
  const [, channels, height, width] = shape
  if (channels === model.latentChannels) return { mean: { data, shape } }
  const size = data.length / 2
  return {
    mean: { data: data.subarray(0, size), shape: [1, channels / 2, height, width] },
    deviation: data.subarray(size).map(deviationOf),
  }
}

function deviationOf(logVariance: number): number {
  const bounded = Math.min(Math.max(logVariance, logVarianceMin), logVarianceMax)
  return Math.exp(0.5 * bounded)
}

/** Draws latents from the distribution with the job's generator and scales them: [1, c, h, w]. */
export function sampleLatents(
  model: Pick<DiffusionModel, 'settings'>,
  { mean, deviation }: LatentDistribution,
  generator: TorchGenerator,
): FloatTensor {
  const data = deviation === undefined ? mean.data : addNoise(mean.data, { deviation, generator })
  return { data: scaleLatents(model, { data, shape: mean.shape }), shape: mean.shape }
}

type Noise = { readonly deviation: Float32Array; readonly generator: TorchGenerator }

function addNoise(mean: Float32Array, { deviation, generator }: Noise): Float32Array {
  const noise = generator.randn(mean.length)
  return mean.map((value, i) => value + Math.fround(deviation[i] * noise[i]))
}

function scaleLatents({ settings }: Pick<DiffusionModel, 'settings'>, latents: FloatTensor) {
  const { scale, means, deviations } = settings.latents
  if (means === undefined || deviations === undefined) {
    return latents.data.map((value) => value * scale)
  }
  const size = latents.data.length / latents.shape[1]
  return latents.data.map((value, i) => {
    const channel = Math.floor(i / size)
    return ((value - means[channel]) * scale) / deviations[channel]
  })
}

/** Bytes → [1, 3, H, W] in −1..1, rounded as numpy and torch round. */
function toTensor({ width, height, pixels }: Picture, mask?: Mask): FloatTensor {
  const size = width * height
  const data = new Float32Array(3 * size)
  for (let at = 0; at < size; at++) {
    if (mask !== undefined && isRepainted(mask.values[at])) continue
    for (let channel = 0; channel < 3; channel++) {
      data[channel * size + at] = 2 * Math.fround(pixels[at * 3 + channel] / 255) - 1
    }
  }
  return { data, shape: [1, 3, height, width] }
}

/** The mask as the UNet sees it: 0 or 1, every `factor`-th value of it: [1, 1, h, w]. */
export function maskLatents(mask: Mask, factor: number): FloatTensor {
  const [height, width] = [mask.height / factor, mask.width / factor]
  const data = Float32Array.from({ length: height * width }, (_, at) => {
    const [y, x] = [Math.floor(at / width) * factor, (at % width) * factor]
    return isRepainted(mask.values[y * mask.width + x]) ? 1 : 0
  })
  return { data, shape: [1, 1, height, width] }
}

function isRepainted(value: number): boolean {
  return value / 255 >= 0.5
}
