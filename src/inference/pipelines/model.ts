import { AppError } from '../../shared/errors.ts'
import {
  type ModelSettings,
  readModelSettings,
  type TextEncoderName,
} from '../models/model-settings.ts'
import type { ComponentProfile } from '../models/components.ts'
import { packError } from '../models/pack-error.ts'
import type { PackFiles } from '../models/pack-files.ts'
import { readClipTokenizer } from '../models/tokenizer-files.ts'
import type { Component } from '../runtime/component.ts'
import type { ClipTokenizer } from '../tokenizers/clip.ts'
import { EmbeddingCache } from './embedding-cache.ts'
import { ModelParts } from './model-parts.ts'
import { zeros } from './tensors.ts'

/** An opened Stable Diffusion model of any family. Whoever opens it closes it. */
export type DiffusionModel = {
  readonly settings: ModelSettings
  readonly parts: ModelParts
  readonly prompts: readonly PromptEncoder[]
  readonly embeddings: EmbeddingCache
  readonly latentChannels: number
  /** Pixels per latent on each axis. */
  readonly latentFactor: number
  readonly isXl: boolean
  readonly preview?: PreviewFactors
}

export type PromptEncoder = {
  readonly component: TextEncoderName
  readonly tokenizer: ClipTokenizer
}

/** A linear map of latents to colours in −1..1: a row of red, green, blue for each channel. */
export type PreviewFactors = {
  readonly rgbFactors: readonly (readonly number[])[]
  readonly rgbBias: readonly number[]
}

export type ModelOptions = ComponentProfile & {
  /** From the pack's manifest, for previews without a small decoder. */
  readonly preview?: PreviewFactors
}

/**
 * Opens a model folder, either as optimum exports it or as the legacy diffusers script did. What
 * differs between the two and between families (types, ranks, inputs) is read from the graphs.
 * Encoder of pictures, LoRA-ready graphs and preview decoder are opened by the first job that
 * needs them. Throws `model.pack_invalid` with file and field.
 */
export async function openModel(files: PackFiles, options: ModelOptions): Promise<DiffusionModel> {
  refuseTransformers(files)
  requireFiles(files, ['model_index.json', 'scheduler/scheduler_config.json'])
  const settings = await readModelSettings(files)
  requireFiles(files, neededFiles(settings))
  const prompts = await Promise.all(
    settings.textEncoders.map(async (component) => ({
      component,
      tokenizer: await readClipTokenizer(files, component.replace('text_encoder', 'tokenizer')),
    })),
  )
  const { preview, ...profile } = options
  const parts = new ModelParts(files, profile)
  try {
    for (const name of settings.textEncoders) await parts.open(name)
    const facts = await readFacts(parts, settings)
    const embeddings = new EmbeddingCache()
    return {
      settings,
      parts,
      prompts,
      embeddings,
      ...facts,
      ...(preview && { preview }),
    }
  } catch (error) {
    await parts.close()
    throw error
  }
}

export async function closeModel(model: DiffusionModel): Promise<void> {
  await model.parts.close()
}

type Facts = Pick<DiffusionModel, 'latentChannels' | 'latentFactor' | 'isXl'>

async function readFacts(parts: ModelParts, settings: ModelSettings): Promise<Facts> {
  const unet = await parts.open('unet')
  const decoder = await parts.open('vae_decoder')
  const isXl = unet.inputs.some(({ name }) => name === 'time_ids')
  refuseOverflow(decoder, { settings, isXl })
  const channels = Number(decoder.inputs[0].shape[1])
  if (!(channels > 0)) {
    throw packError({ file: 'vae_decoder/model.onnx' }, 'does not say how many channels it takes')
  }
  const latentFactor = settings.latents.factor ?? (await measureFactor(decoder, channels))
  return { latentChannels: channels, latentFactor, isXl }
}

/** Legacy packs do not say how much their decoder enlarges, so it decodes a small nothing. */
async function measureFactor(decoder: Component, channels: number): Promise<number> {
  const size = 8
  const outputs = await decoder.run({ [decoder.inputs[0].name]: zeros([1, channels, size, size]) })
  return outputs[decoder.outputs[0].name].shape[3] / size
}

/** XL's published autoencoder gives black pictures in float16; others are fine with it. */
function refuseOverflow(
  decoder: Component,
  { settings, isXl }: { readonly settings: ModelSettings; readonly isXl: boolean },
): void {
  if (!isXl || !settings.latents.needsFloat32 || decoder.inputs[0].type !== 'float16') return
  const problem = 'is float16, but force_upcast in config.json says that it overflows: use float32'
  throw packError({ file: 'vae_decoder/model.onnx' }, problem)
}

function refuseTransformers(files: PackFiles): void {
  if (files.has('unet/model.onnx') || !files.has('transformer/model.onnx')) return
  const message = 'models with a transformer in place of a UNet (FlowMatch) are not supported'
  throw new AppError('inference.unsupported', message)
}

function neededFiles({ textEncoders, pipelineClass }: ModelSettings): readonly string[] {
  if (textEncoders.length === 0) {
    const problem = `${pipelineClass} names no text encoder`
    throw packError({ file: 'model_index.json', field: 'text_encoder' }, problem)
  }
  const tokenizers = textEncoders.map((name) => name.replace('text_encoder', 'tokenizer'))
  return [
    ...tokenizers.flatMap((folder) => [`${folder}/vocab.json`, `${folder}/merges.txt`]),
    ...[...textEncoders, 'unet', 'vae_decoder'].map((name) => `${name}/model.onnx`),
  ]
}

function requireFiles(files: PackFiles, needed: readonly string[]): void {
  const file = needed.find((name) => !files.has(name))
  if (file !== undefined) throw packError({ file }, 'the file is missing')
}
