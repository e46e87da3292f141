import { assert } from '../../shared/assert.ts'
import {
  isPictureTask,
  type Parameters,
  pictureTasks,
  type Task,
} from '../../shared/crd/generation-job.ts'
import { findSchedulerName, schedulerNames } from '../../shared/domain/job-schedulers.ts'
import { AppError, type FieldError } from '../../shared/errors.ts'
import type { Manifest } from '../models/manifest.ts'
import type { GenerateRequest } from '../runner/protocol.ts'

type Request = { readonly task: Task; readonly parameters: Parameters }
type Check = { readonly path: string; readonly message: string; readonly violated: boolean }

/** A job without its files. */
export type PictureRequest = Omit<GenerateRequest, 'inputs' | 'loras' | 'model' | 'embedRecipe'>

/**
 * Turns a job's parameters into a request for the pipeline. The api has filled and checked them;
 * this is the last door, and it knows what this very model and program can do.
 * @throws AppError request.invalid that names every bad field.
 */
export function readRequest(request: Request, model: Manifest): PictureRequest {
  const errors: readonly FieldError[] = checksOf(request, model)
    .filter((check) => check.violated)
    .map(({ path, message }) => ({ path, message }))
  if (errors.length > 0) {
    const text = errors.map(({ path, message }) => `${path} ${message}`).join('; ')
    throw new AppError('request.invalid', text, { fields: errors })
  }
  const { batchCount = 1, batchSize = 1, loras: _packs, ...parameters } = request.parameters
  const { prompt, width, height, steps, guidanceScale, seed } = parameters
  // The checks refused a request in which one of these is absent; this tells the compiler.
  assert(isPictureTask(request.task), 'checked')
  assert(prompt !== undefined && width !== undefined && height !== undefined, 'checked')
  assert(steps !== undefined && guidanceScale !== undefined && seed !== undefined, 'checked')
  return {
    ...parameters,
    task: request.task,
    prompt,
    width,
    height,
    steps,
    guidanceScale,
    seed,
    promptSyntax: parameters.promptSyntax ?? 'Plain',
    promptOverflow: parameters.promptOverflow ?? 'Chunk',
    images: batchCount * batchSize,
  }
}

function checksOf({ task, parameters }: Request, model: Manifest): readonly Check[] {
  const { scheduler, seed } = parameters
  return [
    {
      path: 'task',
      message: `is ${task}; this program makes ${pictureTasks.join(', ')}`,
      violated: !isPictureTask(task),
    },
    {
      path: 'task',
      message: `is ${task}; the model ${model.name} makes ${model.tasks.join(', ')}`,
      violated: !model.tasks.includes(task),
    },
    required('prompt', parameters),
    required('steps', parameters),
    required('guidanceScale', parameters),
    required('seed', parameters),
    { path: 'parameters.seed', message: 'must be drawn before', violated: seed === -1 },
    ...sizeChecks(parameters, model),
    {
      path: 'parameters.scheduler',
      message: `is “${scheduler}”; known are ${schedulerNames.join(', ')}`,
      violated: scheduler !== undefined && findSchedulerName(scheduler) === undefined,
    },
  ]
}

function required(key: keyof Parameters, parameters: Parameters): Check {
  return {
    path: `parameters.${key}`,
    message: 'is required',
    violated: parameters[key] === undefined,
  }
}

function sizeChecks(parameters: Parameters, model: Manifest): readonly Check[] {
  return (['width', 'height'] as const).flatMap((side) => {
    const value = parameters[side] ?? Number.NaN
    const { min, max, multipleOf } = model.sizes[side]
    const fits = value >= min && value <= max && value % multipleOf === 0
    const message = `must be from ${min} to ${max} in steps of ${multipleOf}`
    return [{ path: `parameters.${side}`, message, violated: !fits }]
  })
}
