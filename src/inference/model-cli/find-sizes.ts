import type { ComponentFacts } from '../models/component-facts.ts'
import type { Manifest } from '../models/manifest.ts'
import type { PackFiles } from '../models/pack-files.ts'

type Sizes = Manifest['sizes']
type Found = { readonly sizes: Sizes; readonly width: number; readonly height: number }

/** What Stable Diffusion 1 has, for packs of the legacy exporter, which say nothing. */
const usual = { latentSide: 64, unetLevels: 4, latentFactor: 8 }
const sideMin = 8
const sideMax = 4096

/**
 * Sizes that a model is good for, from its settings: the one it was trained at, and half to one
 * and a half times that. Sides are multiples of what the UNet halves its input by, because in an
 * exported graph the ways down and up must meet at the same size. A graph that was exported for
 * one size gets just that.
 */
export async function findSizes(
  pack: PackFiles,
  components: ReadonlyMap<string, ComponentFacts>,
): Promise<Found> {
  const unet = await readOptional(pack, 'unet/config.json')
  const decoder = await readOptional(pack, 'vae_decoder/config.json')
  const factor = 2 ** (levelsOf(decoder, Math.log2(usual.latentFactor) + 1) - 1)
  const step = Math.max(factor * 2 ** (levelsOf(unet, usual.unetLevels) - 1), sideMin)
  const latentSide = unet['sample_size']
  const native = factor * (typeof latentSide === 'number' ? latentSide : usual.latentSide)
  const shape = components.get('unet')?.inputs.find(({ name }) => name === 'sample')?.shape
  const height = sideOf({ fixed: shape?.[2], factor, step, native })
  const width = sideOf({ fixed: shape?.[3], factor, step, native })
  return {
    sizes: { width: width.range, height: height.range },
    width: width.native,
    height: height.native,
  }
}

function sideOf(side: {
  readonly fixed: number | string | undefined
  readonly factor: number
  readonly step: number
  readonly native: number
}) {
  if (typeof side.fixed === 'number' && side.fixed > 0) {
    const size = side.fixed * side.factor
    return { native: size, range: { min: size, max: size, multipleOf: sideMin } }
  }
  const round = (size: number) => Math.max(Math.round(size / side.step), 1) * side.step
  const native = round(side.native)
  const max = Math.min(round(native * 1.5), sideMax)
  return { native, range: { min: round(native / 2), max, multipleOf: side.step } }
}

type Json = Readonly<Record<string, unknown>>

function levelsOf(config: Json, otherwise: number): number {
  const blocks = config['block_out_channels']
  return Array.isArray(blocks) ? blocks.length : otherwise
}

async function readOptional(pack: PackFiles, file: string): Promise<Json> {
  return pack.has(file) ? pack.readJson(file) : {}
}
