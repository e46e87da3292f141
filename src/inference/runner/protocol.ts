import { AppError, type ErrorCode, type FieldError } from '../../shared/errors.ts'
import type { Input } from '../../shared/crd/generation-job.ts'
import type { InputSettings } from '../images/prepare-inputs.ts'
import type { Manifest } from '../models/manifest.ts'
import type { PackFile } from '../models/pack-files.ts'
import type { GenerationStage } from '../pipelines/generate-images.ts'
import type { ImageRequest } from '../pipelines/request.ts'
import type { ExecutionProvider } from '../runtime/execution-provider.ts'

/** Messages between the main process and the child that holds the model. */

export type LoadRequest = {
  readonly folder: string
  /** The manifest's files; absent for a folder without manifest, which is then not verified. */
  readonly files?: readonly PackFile[]
  readonly threads: number
  readonly provider: ExecutionProvider
  /** For previews without a small decoder. */
  readonly preview?: Manifest['preview']
}

/** An input as it was uploaded: it is decoded in the child, which may die of it. */
export type InputFile = {
  readonly role: Input['role']
  /** Where the request names it, such as `inputs[0]`. */
  readonly field: string
  readonly bytes: Uint8Array
}

/** The pack of a LoRA and how strongly it is applied. */
export type LoraPack = {
  readonly name: string
  readonly scale: number
  readonly folder: string
  readonly digest?: string
}

/** What the pipeline is asked, with files in place of what is read from them. */
export type GenerateRequest = Omit<ImageRequest, 'image' | 'mask' | 'loras'> &
  Omit<InputSettings, 'task' | 'width' | 'height'> & {
    readonly inputs: readonly InputFile[]
    readonly loras: readonly LoraPack[]
    /** For the recipe in the picture. */
    readonly model: { readonly name: string; readonly digest?: string }
    /** False leaves the recipe out of the pictures. */
    readonly embedRecipe?: boolean | undefined
  }

export type ParentMessage =
  | { readonly type: 'Load'; readonly request: LoadRequest }
  | { readonly type: 'Generate'; readonly request: GenerateRequest }
  | { readonly type: 'Cancel' }

export type GeneratedImage = {
  readonly index: number
  readonly seed: number
  readonly width: number
  readonly height: number
  readonly png: Uint8Array
  /** What was done to the inputs before they were used. */
  readonly inputChanges: readonly string[]
}

/** Steps are model calls: runs of the UNet, the two passes of guidance counted as one. */
export type GenerationProgress = {
  readonly stage: GenerationStage
  /** Of the current picture. */
  readonly step: number
  readonly steps: number
  readonly image: number
  /** Over all pictures. */
  readonly stepsDone: number
}

export type ChildMessage =
  | { readonly type: 'Progress'; readonly progress: GenerationProgress }
  /** A small JPEG of the picture that is being made, at most twice a second. */
  | { readonly type: 'Preview'; readonly jpeg: Uint8Array }
  | { readonly type: 'Image'; readonly image: GeneratedImage }
  /** The answer to Load and to Generate. */
  | { readonly type: 'Done'; readonly outcome: 'Completed' | 'Cancelled' }
  | { readonly type: 'Failed'; readonly error: SentError }

export type SentError = {
  readonly message: string
  readonly code: ErrorCode
  readonly fields: readonly FieldError[]
}

/** What is left of an error on its way between processes: no cause, no stack. */
export function packSentError(error: unknown): SentError {
  if (error instanceof AppError) {
    return { message: error.message, code: error.code, fields: error.fields }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { message, code: 'inference.runner_failed', fields: [] }
}

export function unpackSentError(sent: SentError): AppError {
  return new AppError(sent.code, sent.message, { fields: sent.fields })
}

const types = {
  parent: ['Load', 'Generate', 'Cancel'],
  child: ['Progress', 'Preview', 'Image', 'Done', 'Failed'],
} as const

/** Both ends are one program, so the type alone tells messages from noise on the channel. */
export function isParentMessage(value: unknown): value is ParentMessage {
  return hasType(value, types.parent)
}

export function isChildMessage(value: unknown): value is ChildMessage {
  return hasType(value, types.child)
}

function hasType(value: unknown, known: readonly string[]): boolean {
  if (typeof value !== 'object' || value === null || !('type' in value)) return false
  return typeof value.type === 'string' && known.includes(value.type)
}
