import type { Input, Parameters, Task } from '../crd/generation-job.ts'
import type { Model, ModelSpec } from '../crd/model.ts'
import type { FieldError } from '../errors.ts'
import { isSchedulerName, schedulerNames } from './job-schedulers.ts'

/** What somebody asks for, before a Model's defaults are known. */
export type ParameterRequest = {
  readonly task: Task
  readonly parameters: Parameters
  readonly inputs: readonly Input[]
}

export type Resolution =
  | { readonly kind: 'Resolved'; readonly parameters: Parameters }
  /** `path` is dotted and relative to the request or spec, such as `parameters.width`. */
  | { readonly kind: 'Refused'; readonly errors: readonly FieldError[] }

/** Used where neither the request nor the Model says anything. */
const fallbacks = {
  negativePrompt: '',
  steps: 20,
  guidanceScale: 7.5,
  seed: -1,
  scheduler: 'DPM++ 2M Karras',
  batchCount: 1,
  batchSize: 1,
} as const satisfies Parameters

const seedCount = 4_294_967_296

/** Whether a department may know of and use a Model. */
export function isModelVisible(
  model: Pick<ModelSpec, 'visibility' | 'departments'>,
  department: string,
) {
  if (model.visibility === 'Public') return true
  return model.departments?.includes(department) ?? false
}

/**
 * Fills absent parameters from the Model, draws a seed for −1 and checks the result. Whatever a pod
 * gets is complete, so that every attempt of a job makes the same picture.
 * `random` is uniform in [0, 1).
 */
export function resolveParameters(
  request: ParameterRequest,
  model: Pick<Model, 'metadata' | 'spec'>,
  random: () => number,
): Resolution {
  const filled = fill(request.parameters, model.spec)
  const errors = [
    ...taskErrors(request.task, model),
    ...promptErrors(request),
    ...sizeErrors(filled, model.spec),
    ...schedulerErrors(filled),
    ...unusedErrors(request),
  ]
  if (errors.length > 0) return { kind: 'Refused', errors }
  const seed = filled.seed === -1 ? Math.floor(random() * seedCount) : filled.seed
  return { kind: 'Resolved', parameters: { ...filled, ...(seed === undefined ? {} : { seed }) } }
}

/** `strength` has no fallback: a task that needs it says so. */
function fill(parameters: Parameters, { defaults = {}, sizes }: ModelSpec): Parameters {
  const size = sizes === undefined ? {} : { width: sizes.width.max, height: sizes.height.max }
  const { strength: _unused, prompt: _never, ...modelDefaults } = defaults
  return { ...fallbacks, ...size, ...modelDefaults, ...parameters }
}

function taskErrors(
  task: Task,
  { metadata, spec }: Pick<Model, 'metadata' | 'spec'>,
): FieldError[] {
  if (spec.tasks.includes(task)) return []
  const known = spec.tasks.join(', ')
  return [{ path: 'task', message: `model ${metadata.name} serves ${known}, not ${task}` }]
}

const withPrompt: readonly Task[] = ['TextToImage', 'ImageToImage', 'Inpaint', 'TextTo3D']

function promptErrors({ task, parameters }: ParameterRequest): FieldError[] {
  if (!withPrompt.includes(task) || parameters.prompt !== undefined) return []
  return [{ path: 'parameters.prompt', message: `is required for ${task}` }]
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

function schedulerErrors({ scheduler }: Parameters): FieldError[] {
  if (scheduler === undefined || isSchedulerName(scheduler)) return []
  const message = `must be one of ${schedulerNames.join(', ')}`
  return [{ path: 'parameters.scheduler', message }]
}

/** A field that a task would silently ignore is refused: the asker meant something else. */
function unusedErrors({ task, parameters, inputs }: ParameterRequest): FieldError[] {
  const errors: FieldError[] = []
  if (task === 'TextToImage' && inputs.length > 0) {
    errors.push({ path: 'inputs[0]', message: 'TextToImage takes no inputs' })
  }
  if (task === 'TextToImage' && parameters.strength !== undefined) {
    errors.push({ path: 'parameters.strength', message: 'TextToImage takes no strength' })
  }
  return errors
}
