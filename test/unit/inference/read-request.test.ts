import { describe, expect, test } from 'vitest'
import type { Manifest } from '../../../src/inference/models/manifest.ts'
import { readRequest } from '../../../src/inference/pod/read-request.ts'
import type { Parameters, Task } from '../../../src/shared/crd/generation-job.ts'
import { AppError } from '../../../src/shared/errors.ts'

const side = { min: 32, max: 256, multipleOf: 8 }
const model: Manifest = {
  schemaVersion: 1,
  type: 'Base',
  name: 'demo',
  description: '',
  licence: 'Apache-2.0',
  family: 'StableDiffusion1',
  tasks: ['TextToImage', 'Inpaint'],
  defaults: {},
  sizes: { width: side, height: side },
  memory: { loadedBytes: 1, perMegapixelBytes: 1 },
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
  return readRequest({ task, parameters: { ...parameters, ...change } }, model)
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

describe('readRequest', () => {
  test('takes a complete request', () => {
    expect(read({ batchCount: 3, batchSize: 4, negativePrompt: 'blur' })).toEqual({
      ...parameters,
      task: 'TextToImage',
      negativePrompt: 'blur',
      promptSyntax: 'Plain',
      promptOverflow: 'Chunk',
      images: 12,
    })
  })

  test('leaves an absent negative prompt absent, which is not the same as an empty one', () => {
    expect(read()).not.toHaveProperty('negativePrompt')
  })

  test('hands on what happens to the inputs', () => {
    const given = { maskBlur: 4, inpaintArea: 'MaskedOnly', promptSyntax: 'Weighted' } as const
    expect(read(given, 'Inpaint')).toMatchObject({ ...given, task: 'Inpaint' })
  })

  test('takes other names of a scheduler', () => {
    expect(read({ scheduler: 'dpmpp_2m' })).toMatchObject({ scheduler: 'dpmpp_2m' })
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
    ['parameters.scheduler', { scheduler: 'eulerish' }],
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
    expect(fieldsOf(() => read({}, 'ImageToImage'))).toEqual(['task'])
  })
})
