import { packError } from '../models/pack-error.ts'
import type { ModelSettings } from '../models/model-settings.ts'
import type { Port } from '../runtime/component.ts'
import type { Runnable } from './model-parts.ts'

/** What a UNet's graph says about the kind of model it belongs to. */
export type UnetTraits = {
  /** It repaints: mask and masked latents are fed beside the latents. */
  readonly repaints: boolean
  /** How many values tell size and place: 6, or 5 with an aesthetic score. Absent but for XL. */
  readonly sizeCount: number | undefined
  /** Width of the guidance embedding, of models distilled with guidance (LCM). */
  readonly guidanceWidth: number | undefined
  /** Sizes of a graph that was exported without free ones, in tokens, pictures and latents. */
  readonly tokens: number | undefined
  readonly batch: number | undefined
  readonly height: number | undefined
  readonly width: number | undefined
}

export type UnetPlace = {
  readonly settings: ModelSettings
  readonly latentChannels: number
  /** For messages. */
  readonly file: string
}

/** Default of diffusers' `get_guidance_scale_embedding` in its pipelines. */
const usualGuidanceWidth = 256

/** Reads names and shapes of the inputs; nothing is told by the pack's name. */
export function readUnetTraits(unet: Pick<Runnable, 'inputs'>, at: UnetPlace): UnetTraits {
  const shapeOf = (name: string) => unet.inputs.find((port) => port.name === name)?.shape
  const [batch, channels, height, width] = (shapeOf('sample') ?? []).map(fixedSize)
  if (batch !== undefined && batch !== 1) {
    throw packError({ file: at.file, field: 'sample' }, `takes ${batch} pictures only, not 1`)
  }
  return {
    repaints: readRepaints(channels ?? at.latentChannels, at),
    sizeCount: readSizeCount(shapeOf('time_ids'), at.settings),
    guidanceWidth: readGuidanceWidth(shapeOf('timestep_cond'), at.settings),
    tokens: fixedSize(shapeOf('encoder_hidden_states')?.[1]),
    batch,
    height,
    width,
  }
}

type Shape = Port['shape'] | undefined

function readSizeCount(shape: Shape, settings: ModelSettings): number | undefined {
  if (shape === undefined) return undefined
  return fixedSize(shape[1]) ?? (settings.takesAestheticScore ? 5 : 6)
}

function readGuidanceWidth(shape: Shape, settings: ModelSettings): number | undefined {
  if (shape === undefined) return undefined
  return fixedSize(shape[1]) ?? settings.guidanceWidth ?? usualGuidanceWidth
}

function fixedSize(size: Port['shape'][number] | undefined): number | undefined {
  return typeof size === 'number' && size > 0 ? size : undefined
}

/** Latents alone, or latents with one channel of mask and the latents of the masked picture. */
function readRepaints(channels: number, { file, latentChannels }: UnetPlace): boolean {
  if (channels === latentChannels) return false
  if (channels === 2 * latentChannels + 1) return true
  const known = `${latentChannels} nor ${2 * latentChannels + 1}`
  const problem = `takes ${channels} channels, neither ${known}`
  throw packError({ file, field: 'sample' }, problem)
}
