import { generationJobFaults, type JobWish } from '../crd/generation-job-rules.ts'
import { isPictureTask, type Parameters, pictureTasks, type Task } from '../crd/generation-job.ts'
import type { ModelSpec } from '../crd/model.ts'
import { usedFields } from '../crd/task-fields.ts'
import type { FieldError } from '../errors.ts'
import { callsPerImage, strengthDefaults } from './job-calls.ts'
import { loraErrors } from './job-loras.ts'
import { findSchedulerName, schedulerNames } from './job-schedulers.ts'
import type { KnownModel, RequestModels } from './known-model.ts'

export type Resolution =
  | { readonly kind: 'Resolved'; readonly parameters: Parameters }
  /** `path` is dotted and relative to the request or spec, such as `parameters.width`. */
  | { readonly kind: 'Refused'; readonly errors: readonly FieldError[] }

/**
 * Used where neither the request nor the Model says anything. There is none for negativePrompt:
 * Stable Diffusion XL embeds an absent one otherwise than an empty one.
 */
const fallbacks = {
  steps: 20,
  guidanceScale: 7.5,
  seed: -1,
  scheduler: 'DPM++ 2M Karras',
  batchCount: 1,
  batchSize: 1,
  maskBlur: 0,
  inpaintArea: 'Whole',
  maskPadding: 32,
  keepUnmaskedPixels: false,
  promptSyntax: 'Plain',
  promptOverflow: 'Chunk',
} as const satisfies Parameters

const seedCount = 4_294_967_296

/**
 * Fills absent parameters from the Model, draws a seed for −1, writes the scheduler by its own name
 * and checks the result. Whatever a pod gets is complete, so that every attempt of a job makes the
 * same picture. `random` is uniform in [0, 1).
 */
export function resolveParameters(
  request: JobWish,
  models: RequestModels,
  random: () => number,
): Resolution {
  const { model } = models
  if (model.spec.type === 'Lora') return { kind: 'Refused', errors: [notABaseModel(model)] }
  const filled = fill(request, model.spec)
  const scheduler = findSchedulerName(filled.scheduler ?? '')
  const errors = [
    ...taskErrors(request.task, model),
    ...generationJobFaults(request),
    ...sizeErrors(filled, model.spec),
    ...(scheduler === undefined ? [unknownScheduler] : strengthErrors(request.task, filled, model)),
    ...loraErrors(request, models),
  ]
  if (errors.length > 0 || scheduler === undefined) return { kind: 'Refused', errors }
  const seed = filled.seed === -1 ? Math.floor(random() * seedCount) : filled.seed
  const drawn = seed === undefined ? {} : { seed }
  return { kind: 'Resolved', parameters: { ...filled, scheduler, ...drawn } }
}

/** A Model's prompt is an example of its author, never what somebody else asked for. */
function fill({ task, parameters }: JobWish, { defaults = {}, sizes }: ModelSpec): Parameters {
  const size = sizes === undefined ? {} : { width: sizes.width.max, height: sizes.height.max }
  const { prompt: _never, ...modelDefaults } = defaults
  const strength = task === 'Inpaint' ? strengthDefaults.Inpaint : strengthDefaults.ImageToImage
  const offered = { ...fallbacks, strength, ...size, ...modelDefaults }
  return { ...usedFields(task, offered), ...parameters }
}

function notABaseModel({ metadata }: KnownModel): FieldError {
  const message = `${metadata.name} is a LoRA; name it in parameters.loras`
  return { path: 'modelRef.name', message }
}

function taskErrors(task: Task, { metadata, spec }: KnownModel): FieldError[] {
  if (!isPictureTask(task)) {
    return [{ path: 'task', message: `this release runs ${pictureTasks.join(', ')}, not ${task}` }]
  }
  if (spec.tasks.includes(task)) return []
  const known = spec.tasks.join(', ')
  return [{ path: 'task', message: `model ${metadata.name} serves ${known}, not ${task}` }]
}

function sizeErrors(parameters: Parameters, { sizes }: ModelSpec): FieldError[] {
  return (['width', 'height'] as const).flatMap((side) => {
    const [path, value] = [`parameters.${side}`, parameters[side]]
    if (value === undefined) return [{ path, message: 'is required: the model names no default' }]
    const range = sizes?.[side]
    if (range === undefined) return multipleError(path, value, 8)
    if (value < range.min || value > range.max) {
      return [{ path, message: `must be from ${range.min} to ${range.max}` }]
    }
    return multipleError(path, value, range.multipleOf)
  })
}

function multipleError(path: string, value: number, multipleOf: number): FieldError[] {
  return value % multipleOf === 0 ? [] : [{ path, message: `must be a multiple of ${multipleOf}` }]
}

/** diffusers runs trunc(steps × strength) steps; a job without any would give the input back. */
function strengthErrors(task: Task, parameters: Parameters, { spec }: KnownModel): FieldError[] {
  if (!isPictureTask(task)) return []
  const { family } = spec
  if (callsPerImage({ task, parameters, family }) > 0) return []
  const message = `leaves none of the ${parameters.steps} steps to run`
  return [{ path: 'parameters.strength', message }]
}

const unknownScheduler = {
  path: 'parameters.scheduler',
  message: `must be one of ${schedulerNames.join(', ')}, or an alias of GET /v1/schedulers`,
}
