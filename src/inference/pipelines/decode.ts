import { roundHalfEven } from '../schedulers/arrays.ts'
import type { FloatTensor } from '../runtime/component.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

/** 8-bit RGB, row by row. */
export type Picture = {
  readonly width: number
  readonly height: number
  readonly pixels: Uint8Array
}

/** Latents [1, 4, h, w] → picture. */
export async function decodeLatents(
  model: Pick<StableDiffusion, 'decoder' | 'settings'>,
  latents: FloatTensor,
): Promise<Picture> {
  const { latentScale } = model.settings
  const unscaled = { ...latents, data: latents.data.map((value) => value / latentScale) }
  const outputs = await model.decoder.run({ latent_sample: unscaled })
  return toPicture(outputs[model.decoder.outputs[0].name])
}

/** [1, 3, H, W] in −1..1 → bytes, rounded as diffusers and numpy do. */
function toPicture({ data, shape }: FloatTensor): Picture {
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
