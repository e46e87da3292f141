import { AppError } from '../../shared/errors.ts'
import type { Picture } from '../images/picture.ts'
import type { FloatTensor } from '../runtime/component.ts'
import { roundHalfEven } from '../schedulers/arrays.ts'
import type { DiffusionModel } from './model.ts'

/**
 * Latents [1, channels, h, w] → picture. Values that are not finite would become black pixels;
 * they are refused as `inference.unsupported`.
 */
export async function decodeLatents(model: DiffusionModel, latents: FloatTensor): Promise<Picture> {
  requireFinite(latents, 'the UNet')
  const decoder = await model.parts.open('vae_decoder')
  const outputs = await decoder.run({ [decoder.inputs[0].name]: unscaleLatents(model, latents) })
  const sample = outputs[decoder.outputs[0].name]
  requireFinite(sample, 'vae_decoder')
  return toPicture(sample)
}

function unscaleLatents({ settings }: DiffusionModel, { data, shape }: FloatTensor): FloatTensor {
  const { scale, means, deviations } = settings.latents
  if (means === undefined || deviations === undefined) {
    return { data: data.map((value) => value / scale), shape }
  }
  const size = data.length / shape[1]
  const values = data.map((value, i) => {
    const channel = Math.floor(i / size)
    return (value * deviations[channel]) / scale + means[channel]
  })
  return { data: values, shape }
}

function requireFinite({ data }: FloatTensor, source: string): void {
  if (data.every(Number.isFinite)) return
  const message = `${source} made values that are not finite; a float16 model may have overflowed`
  throw new AppError('inference.unsupported', message)
}

/** [1, 3, H, W] in −1..1 → bytes, rounded as diffusers and numpy do. */
export function toPicture({ data, shape }: FloatTensor): Picture {
  const [, , height, width] = shape
  const size = width * height
  const pixels = new Uint8Array(size * 3)
  for (let at = 0; at < size; at++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels[at * 3 + channel] = toByte(data[channel * size + at])
    }
  }
  return { width, height, pixels }
}

function toByte(value: number): number {
  const share = Math.min(Math.max(Math.fround(Math.fround(value / 2) + 0.5), 0), 1)
  return roundHalfEven(Math.fround(share * 255))
}
