import { AppError, type ErrorCode, type FieldError } from '../../shared/errors.ts'
import type { PackFile } from '../models/pack-files.ts'
import type { GenerationStage, TextToImageRequest } from '../pipelines/text-to-image.ts'

/** Messages between the main process and the child that holds the model. */

export type LoadRequest = {
  readonly folder: string
  /** The manifest's files; absent for a folder without manifest, which is then not verified. */
  readonly files?: readonly PackFile[]
  readonly threads: number
}

export type GenerateRequest = TextToImageRequest & {
  /** For the recipe in the picture. */
  readonly model: { readonly name: string; readonly digest?: string }
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
}

export type GenerationProgress = {
  readonly stage: GenerationStage
  /** Of the current picture. */
  readonly step: number
  readonly image: number
  /** Over all pictures. */
  readonly stepsDone: number
}

export type ChildMessage =
  | { readonly type: 'Progress'; readonly progress: GenerationProgress }
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
  child: ['Progress', 'Image', 'Done', 'Failed'],
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
