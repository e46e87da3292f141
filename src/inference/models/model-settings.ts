import { packError } from './pack-error.ts'
import type { PackFiles } from './pack-files.ts'
import type { SchedulerConfig } from '../schedulers/scheduler.ts'

/** What the settings files of a pack say beside the graphs. */
export type ModelSettings = {
  /** Pipeline class of model_index.json, such as StableDiffusionPipeline. */
  readonly pipelineClass: string
  readonly scheduler: SchedulerConfig
  /** Latents are multiplied by this after encoding and divided by it before decoding. */
  readonly latentScale: number
  /** Pixels per latent on each axis. */
  readonly latentFactor: number
}

/**
 * Reads model_index.json, the scheduler's settings and the autoencoder's. Packs of the legacy
 * exporter have no settings for the autoencoder: then Stable Diffusion 1's values hold.
 */
export async function readModelSettings(files: PackFiles): Promise<ModelSettings> {
  const index = await files.readJson('model_index.json')
  const scheduler = await files.readJson('scheduler/scheduler_config.json')
  const file = 'vae_decoder/config.json'
  const autoencoder = files.has(file) ? await files.readJson(file) : {}
  const blocks = autoencoder['block_out_channels']
  return {
    pipelineClass: readText(index['_class_name'], 'model_index.json'),
    scheduler,
    latentScale: readScale(autoencoder['scaling_factor'], file),
    latentFactor: Array.isArray(blocks) ? 2 ** (blocks.length - 1) : 8,
  }
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
