import type { SchedulerConfig } from '../schedulers/scheduler.ts'
import { packError } from './pack-error.ts'
import type { PackFiles } from './pack-files.ts'

/** What the settings files of a pack say beside the graphs. */
export type ModelSettings = {
  /** Pipeline class of model_index.json, such as StableDiffusionPipeline. */
  readonly pipelineClass: string
  readonly scheduler: SchedulerConfig
  /** Folders of the text encoders, in the order in which their outputs are joined. */
  readonly textEncoders: readonly TextEncoderName[]
  readonly latents: LatentSettings
  /** Stable Diffusion XL: without a negative prompt, its embedding is zeros. */
  readonly zeroesAbsentNegative: boolean
  /** Stable Diffusion XL's refiner is told an aesthetic score instead of the target size. */
  readonly takesAestheticScore: boolean
  /** Values of the guidance embedding, for models distilled with one. */
  readonly guidanceWidth?: number
}

const textEncoderNames = ['text_encoder', 'text_encoder_2'] as const
export type TextEncoderName = (typeof textEncoderNames)[number]

export type LatentSettings = {
  /** Latents are multiplied by this after encoding and divided by it before decoding. */
  readonly scale: number
  /** Pixels per latent on each axis; absent when no file says it. */
  readonly factor?: number
  /** Per channel; latents are normalised with them where a pack has both. */
  readonly means?: readonly number[]
  readonly deviations?: readonly number[]
  /** The autoencoder overflows in float16 (published for Stable Diffusion XL). */
  readonly needsFloat32: boolean
}

type Json = Readonly<Record<string, unknown>>

/**
 * Reads model_index.json and the settings of scheduler, autoencoder and UNet. Packs of the legacy
 * exporter have none for the graphs: then Stable Diffusion 1's values hold.
 */
export async function readModelSettings(files: PackFiles): Promise<ModelSettings> {
  const index = await files.readJson('model_index.json')
  const scheduler = await files.readJson('scheduler/scheduler_config.json')
  const unet = await readOptional(files, 'unet/config.json')
  const width = unet['time_cond_proj_dim']
  return {
    pipelineClass: readText(index['_class_name'], 'model_index.json'),
    scheduler,
    textEncoders: textEncoderNames.filter((name) => isListed(index[name])),
    latents: await readLatentSettings(files),
    zeroesAbsentNegative: index['force_zeros_for_empty_prompt'] !== false,
    takesAestheticScore: index['requires_aesthetics_score'] === true,
    ...(typeof width === 'number' && { guidanceWidth: width }),
  }
}

async function readLatentSettings(files: PackFiles): Promise<LatentSettings> {
  const file = 'vae_decoder/config.json'
  const autoencoder = await readOptional(files, file)
  const blocks = autoencoder['block_out_channels']
  const means = readNumbers(autoencoder['latents_mean'])
  const deviations = readNumbers(autoencoder['latents_std'])
  return {
    scale: readScale(autoencoder['scaling_factor'], file),
    ...(Array.isArray(blocks) && { factor: 2 ** (blocks.length - 1) }),
    ...(means !== undefined && deviations !== undefined && { means, deviations }),
    needsFloat32: autoencoder['force_upcast'] === true,
  }
}

/** model_index.json names library and class of each part, or two nulls for none. */
function isListed(part: unknown): boolean {
  return Array.isArray(part) && part[1] !== null
}

async function readOptional(files: PackFiles, file: string): Promise<Json> {
  return files.has(file) ? files.readJson(file) : {}
}

function readText(value: unknown, file: string): string {
  if (typeof value === 'string') return value
  throw packError({ file, field: '_class_name' }, 'is not a text')
}

function readScale(value: unknown, file: string): number {
  if (value === undefined) return 0.18215
  if (typeof value === 'number' && value > 0) return value
  throw packError({ file, field: 'scaling_factor' }, 'is not a positive number')
}

function readNumbers(value: unknown): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined
  return value.every((item) => typeof item === 'number') ? value : undefined
}
