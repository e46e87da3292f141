import type { ComponentFacts } from '../models/component-facts.ts'
import type { Manifest } from '../models/manifest.ts'

type Model = {
  readonly family: Manifest['family']
  readonly components: readonly ComponentFacts[]
  readonly sizes: Manifest['sizes']
}

const mebibyte = 2 ** 20

/** Both processes of a pod with nothing loaded. */
const processBytes = 240 * mebibyte
/** A graph with its weights inside is held as file, as tensors and as prepacked tensors. */
const copiesOfInnerWeights = 3

/**
 * What a model needs, estimated from its files; docs/model-packs.md has the derivation and the
 * measurements that it is an upper bound of. Per megapixel it is exact at the largest size only:
 * the attention of the UNet's first level holds `heads × tokens²` scores, two and a half times
 * over, so smaller pictures need less.
 */
export function estimateMemory({ family, components, sizes }: Model): Manifest['memory'] {
  const weightBytes = components.reduce(
    (sum, { graphBytes, externalBytes }) => sum + externalBytes + copiesOfInnerWeights * graphBytes,
    0,
  )
  const pixels = sizes.width.max * sizes.height.max
  const runBytes = Math.max(unetBytes(family, pixels), decoderBytes(pixels))
  return {
    loadedBytes: roundUp(processBytes + weightBytes),
    perMegapixelBytes: roundUp((runBytes * 1e6) / pixels),
  }
}

/** First level with attention: every 8 pixels with 8 heads; for XL every 16 pixels with 10. */
function unetBytes(family: Manifest['family'], pixels: number): number {
  const { heads, pixelsPerToken } =
    family === 'StableDiffusionXL'
      ? { heads: 10, pixelsPerToken: 16 * 16 }
      : { heads: 8, pixelsPerToken: 8 * 8 }
  const scoreBytes = heads * (pixels / pixelsPerToken) ** 2 * Float32Array.BYTES_PER_ELEMENT
  return 2.5 * scoreBytes + (800 * mebibyte * pixels) / 1e6
}

/** Several planes of 128 channels at full size. */
function decoderBytes(pixels: number): number {
  return (5600 * mebibyte * pixels) / 1e6
}

function roundUp(bytes: number): number {
  return Math.ceil(bytes / mebibyte) * mebibyte
}
