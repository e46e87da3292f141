import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../../src/inference/models/manifest.ts'
import { readTextToImage } from '../../../src/inference/pod/read-request.ts'
import type { Parameters, Task } from '../../../src/shared/crd/generation-job.ts'
import { AppError } from '../../../src/shared/errors.ts'

const side = { min: 32, max: 256, multipleOf: 8 }
const model: Manifest = {
  schemaVersion: 1,
  name: 'demo',
  description: '',
  licence: 'Apache-2.0',
  family: 'StableDiffusion1',
  tasks: ['TextToImage'],
  defaults: {},
  sizes: { width: side, height: side },
  memoryBytes: 1,
  files: [{ path: 'a', sha256: '0'.repeat(64), sizeBytes: 1 }],
}
const parameters: Parameters = {
  prompt: 'a dent',
  width: 64,
  height: 64,
  steps: 20,
  guidanceScale: 3,
  seed: 1,
}

function read(change: Partial<Parameters> = {}, task: Task = 'TextToImage') {
  return readTextToImage({ task, parameters: { ...parameters, ...change } }, model)
}

function fieldsOf(action: () => unknown): readonly string[] {
  try {
    action()
  } catch (error) {
    if (error instanceof AppError) return error.fields.map(({ path }) => path)
    throw error
  }
  return []
}

describe('readTextToImage', () => {
  test('takes a complete request', () => {
    expect(read({ batchCount: 3, batchSize: 4, negativePrompt: 'blur' })).toEqual({
      ...parameters,
      negativePrompt: 'blur',
      images: 12,
    })
  })

  test.each([
    ['parameters.prompt', { prompt: undefined }],
    ['parameters.steps', { steps: undefined }],
    ['parameters.guidanceScale', { guidanceScale: undefined }],
    ['parameters.seed', { seed: -1 }],
    ['parameters.seed', { seed: undefined }],
    ['parameters.width', { width: undefined }],
    ['parameters.width', { width: 24 }],
    ['parameters.width', { width: 264 }],
    ['parameters.height', { height: 65 }],
    ['parameters.scheduler', { scheduler: 'euler' }],
    ['parameters.scheduler', { scheduler: 'constructor' }],
  ])('refuses %s of %j', (field, change) => {
    expect(fieldsOf(() => read(change))).toEqual([field])
  })

  test('accepts sizes at both limits', () => {
    expect(fieldsOf(() => read({ width: 32, height: 256 }))).toEqual([])
  })

  test('names all bad fields at once', () => {
    expect(fieldsOf(() => read({ width: 1, scheduler: 'x' }))).toEqual([
      'parameters.width',
      'parameters.scheduler',
    ])
  })

  test('refuses a task that it or the model cannot do', () => {
    expect(fieldsOf(() => read({}, 'Upscale'))).toEqual(['task', 'task'])
  })
})
