import path from 'node:path'
import { readFileSync } from 'node:fs'
import { decode as decodePng } from 'fast-png'
import { readLora } from '../../../src/inference/lora/read-lora.ts'
import type { AppliedLora, ImageRequest } from '../../../src/inference/pipelines/request.ts'
import type { Picture } from '../../../src/inference/images/picture.ts'
import { resizePicture } from '../../../src/inference/images/resize.ts'
import type { Mask } from '../../../src/inference/images/mask.ts'
import type { SchedulerConfig } from '../../../src/inference/schedulers/scheduler.ts'
import type { TensorRef } from '../read.ts'

/** A whole run of diffusers, as the README of the goldens describes it. */
export type PipelineCase = {
  readonly name: string
  readonly model: string
  readonly prompt: string
  readonly negative_prompt?: string | null
  readonly height: number
  readonly width: number
  readonly steps: number
  readonly guidance_scale: number
  readonly seed: number
  readonly strength?: number | null
  readonly eta?: number | null
  /** Files in images/. */
  readonly image?: string | null
  readonly mask?: string | null
  readonly images?: number | null
  readonly scheduler?: string | null
  readonly scheduler_class: string
  readonly scheduler_config: SchedulerConfig
  readonly lora?: LoraRef | null
  readonly loras?: readonly LoraRef[] | null
  /** Absent: what diffusers does by itself, plain and truncated. */
  readonly prompt_syntax?: ImageRequest['promptSyntax']
  readonly prompt_overflow?: ImageRequest['promptOverflow']
  /** Of cases that are looser than the set, such as half precision against single. */
  readonly tolerance?: Partial<Tolerance> | null
  readonly timesteps?: readonly number[]
  readonly embeds: Readonly<Record<EmbedsName, TensorRef | null | undefined>>
  readonly draws?: readonly TensorRef[]
  readonly initial_latents: TensorRef
  readonly step_latents: TensorRef
  readonly final_latents: TensorRef
  readonly mask_latents?: TensorRef | null
  readonly masked_image_latents?: TensorRef | null
  readonly png: readonly string[]
}
export type Tolerance = {
  readonly embeds: number
  readonly latents: number
  readonly png_levels: number
  /** Of the channel values. */
  readonly png_share: number
}
export type EmbedsName =
  | 'prompt_embeds'
  | 'negative_prompt_embeds'
  | 'pooled_prompt_embeds'
  | 'negative_pooled_prompt_embeds'
export type LoraRef = { readonly file: string; readonly scale: number }

/** What the case has tells its task: an image, an image and a mask, or neither. */
export function taskOf({ image, mask }: PipelineCase): ImageRequest['task'] {
  if (typeof image !== 'string') return 'TextToImage'
  return typeof mask === 'string' ? 'Inpaint' : 'ImageToImage'
}

/** Several LoRAs are a list; the first sets had one at most. */
export function lorasOf({ lora, loras }: PipelineCase): readonly LoraRef[] {
  return [...(lora ? [lora] : []), ...(loras ?? [])]
}

/** The request that a case stands for. */
export function requestOf(item: PipelineCase, folder: string): ImageRequest {
  const { image, mask } = item
  return {
    task: taskOf(item),
    prompt: item.prompt,
    ...(typeof item.scheduler === 'string' && { scheduler: item.scheduler }),
    ...(typeof item.negative_prompt === 'string' && { negativePrompt: item.negative_prompt }),
    width: item.width,
    height: item.height,
    steps: item.steps,
    guidanceScale: item.guidance_scale,
    seed: item.seed,
    images: item.images ?? 1,
    promptSyntax: item.prompt_syntax ?? 'Plain',
    promptOverflow: item.prompt_overflow ?? 'Truncate',
    ...(typeof item.strength === 'number' && { strength: item.strength }),
    ...(typeof image === 'string' && {
      image: readSized(path.join(folder, 'images', image), item),
    }),
    ...(typeof mask === 'string' && {
      mask: toMask(readSized(path.join(folder, 'images', mask), item)),
    }),
    loras: lorasOf(item).map((lora) => readCaseLora(lora, folder)),
  }
}

function readCaseLora({ file, scale }: LoraRef, folder: string): AppliedLora {
  return { name: file, scale, lora: readLora(readFileSync(path.join(folder, 'lora', file)), file) }
}

export function readPng(file: string): Picture {
  const { width, height, data, channels } = decodePng(readFileSync(file))
  const pixels = new Uint8Array(width * height * 3)
  for (let at = 0; at < width * height; at++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels[at * 3 + channel] = data[at * channels + (channels < 3 ? 0 : channel)]
    }
  }
  return { width, height, pixels }
}

/** diffusers resizes inputs of another size than asked for. */
function readSized(file: string, { width, height }: PipelineCase): Picture {
  const picture = readPng(file)
  if (picture.width === width && picture.height === height) return picture
  return resizePicture(picture, { width, height, filter: 'Lanczos' })
}

/** Grey as PIL's conversion to L computes it; alpha does not count, as for diffusers. */
function toMask({ width, height, pixels }: Picture): Mask {
  const values = Uint8Array.from({ length: width * height }, (_, at) => {
    const [red, green, blue] = pixels.subarray(at * 3, at * 3 + 3)
    return (red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16
  })
  return { width, height, values }
}
