import { assert } from '../../shared/assert.ts'
import type { Parameters, Task } from '../../shared/crd/generation-job.ts'
import { isSchedulerName, schedulerNames } from '../../shared/domain/job-schedulers.ts'
import { AppError, type FieldError } from '../../shared/errors.ts'
import type { Manifest } from '../models/manifest.ts'
import type { TextToImageRequest } from '../pipelines/text-to-image.ts'

type Request = { readonly task: Task; readonly parameters: Parameters }
type Check = { readonly path: string; readonly message: string; readonly violated: boolean }

/**
 * Turns a job's parameters into a request for the pipeline. The api has filled and checked them;
 * this is the last door, and it knows what this very model and program can do.
 * @throws AppError request.invalid that names every bad field.
 */
export function readTextToImage(request: Request, model: Manifest): TextToImageRequest {
  const { parameters } = request
  const errors: readonly FieldError[] = checksOf(request, model)
    .filter((check) => check.violated)
    .map(({ path, message }) => ({ path, message }))
  if (errors.length > 0) {
    const text = errors.map(({ path, message }) => `${path} ${message}`).join('; ')
    throw new AppError('request.invalid', text, { fields: errors })
  }
  const { prompt, width, height, steps, guidanceScale, seed, scheduler } = parameters
  // The checks refused a request in which one of these is absent; this tells the compiler.
  assert(prompt !== undefined && width !== undefined && height !== undefined, 'checked')
  assert(steps !== undefined && guidanceScale !== undefined && seed !== undefined, 'checked')
  return {
    prompt,
    negativePrompt: parameters.negativePrompt ?? '',
    width,
    height,
    steps,
    guidanceScale,
    seed,
    ...(scheduler !== undefined && { scheduler }),
    images: countImages(parameters),
  }
}

function countImages({ batchCount = 1, batchSize = 1 }: Parameters): number {
  return batchCount * batchSize
}

function checksOf({ task, parameters }: Request, model: Manifest): readonly Check[] {
  const { scheduler, seed } = parameters
  return [
    {
      path: 'task',
      message: `is ${task}; this program makes TextToImage only`,
      violated: task !== 'TextToImage',
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
      violated: scheduler !== undefined && !isSchedulerName(scheduler),
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
