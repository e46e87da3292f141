import { AppError } from '../../shared/errors.ts'
import { openComponent } from '../models/components.ts'
import { type ModelSettings, readModelSettings } from '../models/model-settings.ts'
import { packError } from '../models/pack-error.ts'
import type { PackFiles } from '../models/pack-files.ts'
import { readClipTokenizer } from '../models/tokenizer-files.ts'
import type { Component } from '../runtime/component.ts'
import type { ClipTokenizer } from '../tokenizers/clip.ts'

/** The parts of a Stable Diffusion 1 or 2 model that text-to-image needs. */
export type StableDiffusion = {
  readonly settings: ModelSettings
  readonly tokenizer: ClipTokenizer
  readonly textEncoder: Component
  readonly unet: Component
  readonly decoder: Component
}

const componentNames = ['text_encoder', 'unet', 'vae_decoder'] as const

/**
 * Opens a model folder, either as optimum exports it or as the legacy diffusers script did. What
 * differs between the two (types, ranks, settings files) is read from the graphs.
 */
export async function openStableDiffusion(
  files: PackFiles,
  threads: number,
): Promise<StableDiffusion> {
  requireComponents(files)
  const settings = await readModelSettings(files)
  if (settings.pipelineClass.includes('XL')) {
    throw new AppError('inference.unsupported', `${settings.pipelineClass} is not implemented`)
  }
  const tokenizer = await readClipTokenizer(files)
  const opened: Component[] = []
  try {
    for (const name of componentNames) opened.push(await openComponent(files, name, threads))
  } catch (error) {
    await Promise.all(opened.map((component) => component.dispose()))
    throw error
  }
  const [textEncoder, unet, decoder] = opened
  return { settings, tokenizer, textEncoder, unet, decoder }
}

export async function closeStableDiffusion(model: StableDiffusion): Promise<void> {
  const components = [model.textEncoder, model.unet, model.decoder]
  await Promise.all(components.map((component) => component.dispose()))
}

function requireComponents(files: PackFiles): void {
  const needed = [
    'model_index.json',
    'scheduler/scheduler_config.json',
    'tokenizer/vocab.json',
    'tokenizer/merges.txt',
    ...componentNames.map((name) => `${name}/model.onnx`),
  ]
  const file = needed.find((name) => !files.has(name))
  if (file !== undefined) throw packError({ file }, 'the file is missing')
}
