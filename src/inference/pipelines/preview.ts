import type { Picture } from '../images/picture.ts'
import type { FloatTensor } from '../runtime/component.ts'
import { toPicture } from './decode.ts'
import type { DiffusionModel, PreviewFactors } from './model.ts'

/** Component of packs with a small decoder in the layout of TAESD. */
const smallDecoder = 'taesd_decoder'

/**
 * Linear approximation of Stable Diffusion 1's decoder, found by fitting. Source: K. Turner,
 * “Decoding latents to RGB without upscaling”, discuss.huggingface.co, topic 23204.
 */
const stableDiffusion1: PreviewFactors = {
  rgbFactors: [
    [0.298, 0.207, 0.208],
    [0.187, 0.286, 0.173],
    [-0.158, 0.189, 0.264],
    [-0.184, -0.271, -0.473],
  ],
  rgbBias: [0, 0, 0],
}

/**
 * The same for XL. Source: T. A. Vass, “Explaining the SDXL latent space”, huggingface.co/blog,
 * whose values make bytes; here they make −1..1.
 */
const stableDiffusionXl: PreviewFactors = {
  rgbFactors: [
    [60, 60, 60],
    [-60, -5, 10],
    [25, 15, -5],
    [-70, -50, -35],
  ].map((row) => row.map((value) => value / 127.5)),
  rgbBias: [150, 140, 130].map((value) => value / 127.5 - 1),
}

/**
 * A quick picture of latents [1, channels, h, w]: by the pack's small decoder in full size, else
 * one pixel per latent by a linear map (the pack's own factors, or its family's), else, for
 * latents that no map suits, the first channel in grey.
 */
export async function previewLatents(
  model: DiffusionModel,
  latents: FloatTensor,
): Promise<Picture> {
  if (model.parts.has(smallDecoder)) {
    const decoder = await model.parts.open(smallDecoder)
    const outputs = await decoder.run({ [decoder.inputs[0].name]: latents })
    return toPicture(outputs[decoder.outputs[0].name])
  }
  const family = model.isXl ? stableDiffusionXl : stableDiffusion1
  return mapLatents(latents, model.preview ?? family)
}

function mapLatents({ data, shape }: FloatTensor, factors: PreviewFactors): Picture {
  const [, channels, height, width] = shape
  const size = height * width
  const rows =
    factors.rgbFactors.length === channels
      ? factors.rgbFactors
      : Array.from({ length: channels }, (_, channel) => (channel === 0 ? [1, 1, 1] : [0, 0, 0]))
  const colours = Float32Array.from({ length: 3 * size }, (_, i) => {
    const [colour, at] = [Math.floor(i / size), i % size]
    const bias = factors.rgbBias[colour]
    return rows.reduce((sum, row, channel) => sum + row[colour] * data[channel * size + at], bias)
  })
  return toPicture({ data: colours, shape: [1, 3, height, width] })
}
