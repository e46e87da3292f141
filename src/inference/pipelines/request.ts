import { strengthDefaults } from '../../shared/domain/job-calls.ts'
import { AppError } from '../../shared/errors.ts'
import type { Mask } from '../images/mask.ts'
import type { Picture } from '../images/picture.ts'
import type { Lora } from '../lora/read-lora.ts'
import type { PromptOverflow, PromptSyntax } from '../tokenizers/prompt-windows.ts'

/** One job of the pipeline. Pictures come in the job's size; pasting back is the caller's work. */
export type ImageRequest = {
  readonly task: 'TextToImage' | 'ImageToImage' | 'Inpaint'
  readonly prompt: string
  /**
   * Absent is not the same as empty for Stable Diffusion XL: there an absent one is embedded as
   * zeros, an empty one as the encoders see an empty text.
   */
  readonly negativePrompt?: string
  readonly width: number
  readonly height: number
  /** Of the whole schedule; with an input, `strength` says how much of it is run. */
  readonly steps: number
  readonly guidanceScale: number
  /** Of the first picture; the next ones count on from it. */
  readonly seed: number
  /** Absent: the model's own. */
  readonly scheduler?: string
  readonly images: number
  /** Pictures before this one are there already: it is the first to be made. */
  readonly firstImage?: number
  /** Pictures that share a run of the UNet (1): more are faster on a GPU, not on CPUs. */
  readonly imagesPerRun?: number
  readonly promptSyntax: PromptSyntax
  readonly promptOverflow: PromptOverflow
  /** 0..1: from which noise level an input is repainted. Absent: 0.8, for Inpaint 1. */
  readonly strength?: number
  readonly image?: Picture
  readonly mask?: Mask
  readonly loras: readonly AppliedLora[]
}

export type AppliedLora = { readonly name: string; readonly scale: number; readonly lora: Lora }

export function strengthOf({ task, strength }: Pick<ImageRequest, 'task' | 'strength'>): number {
  const { Inpaint, ImageToImage } = strengthDefaults
  return strength ?? (task === 'Inpaint' ? Inpaint : ImageToImage)
}

/** Steps that are run of the whole schedule, from the end: diffusers' rule. */
export function stepsRun(request: Pick<ImageRequest, 'task' | 'strength' | 'steps'>): number {
  if (request.task === 'TextToImage') return request.steps
  return Math.min(Math.trunc(request.steps * strengthOf(request)), request.steps)
}

export function invalid(field: string, problem: string, cause?: unknown): AppError {
  return new AppError('request.invalid', `${field}: ${problem}`, {
    fields: [{ path: field, message: problem }],
    cause,
  })
}
