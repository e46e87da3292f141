import { describe, expect, it } from 'vitest'
import type { Condition } from '../../../src/shared/crd/common.ts'
import type { Parameters } from '../../../src/shared/crd/generation-job.ts'
import type { Model, ModelSpec } from '../../../src/shared/crd/model.ts'
import { canonicalJson } from '../../../src/shared/domain/canonical-json.ts'
import {
  artifactId,
  artifactKey,
  parseArtifactId,
  parseArtifactKey,
} from '../../../src/shared/domain/job-artifact.ts'
import { newJobId, resourceNameOf } from '../../../src/shared/domain/job-id.ts'
import { resolveParameters } from '../../../src/shared/domain/job-parameters.ts'
import { isModelVisible } from '../../../src/shared/domain/known-model.ts'
import { describeStatus, isTerminalStatus } from '../../../src/shared/domain/job-status.ts'

const zeros = (length: number) => new Uint8Array(length)

describe('a job id', () => {
  it('is a lower-case ULID that fits the schema and a resource name', () => {
    expect(newJobId(1_469_918_176_385, zeros)).toBe('01aryz6s410000000000000000')
    expect(newJobId(0, () => new Uint8Array(16).fill(31))).toBe('0000000000zzzzzzzzzzzzzzzz')
    expect(resourceNameOf('01aryz6s410000000000000000')).toBe('gj-01aryz6s410000000000000000')
  })

  it('sorts by time', () => {
    const ids = [1, 31, 32, 1000, 1_700_000_000_000].map((ms) => newJobId(ms, zeros))
    expect(ids).toEqual(ids.toSorted())
  })

  it('refuses a time that does not fit', () => {
    expect(() => newJobId(2 ** 48, zeros)).toThrow('48 bits')
    expect(() => newJobId(-1, zeros)).toThrow('48 bits')
  })
})

describe('an artifact', () => {
  const artifact = { jobId: '01aryz6s410000000000000000', attempt: 2, name: 'image-0.1.png' }

  it('has an id and a key that give each other', () => {
    expect(artifactId(artifact)).toBe('01aryz6s410000000000000000.2.image-0.1.png')
    expect(parseArtifactId(artifactId(artifact))).toEqual(artifact)
    expect(parseArtifactKey(artifactKey(artifact))).toEqual(artifact)
  })

  it.each(['', 'x', 'artifacts/../1/a', 'imports/quality/a.png', 'artifacts/short/1/a.png'])(
    'is not found in %j',
    (text) => {
      expect(parseArtifactKey(text)).toBeNull()
      expect(parseArtifactId(text)).toBeNull()
    },
  )
})

const spec: ModelSpec = {
  type: 'Base',
  family: 'StableDiffusion1',
  licence: 'x',
  tasks: ['TextToImage'],
  delivery: { type: 'Embedded', embedded: { path: 'demo' } },
  defaults: { width: 64, height: 64, steps: 12, scheduler: 'Euler' },
  sizes: {
    width: { min: 32, max: 128, multipleOf: 16 },
    height: { min: 32, max: 128, multipleOf: 16 },
  },
  price: { perImageMicroCredits: 1 },
  resources: { gpus: 1, cpu: '1', memory: '1Gi' },
  runsOn: ['Cpu'],
  visibility: 'Public',
}
const metadata: Model['metadata'] = {
  name: 'm',
  uid: 'u',
  resourceVersion: '1',
  generation: 1,
  creationTimestamp: '',
}

const owner = { department: 'vision' }

function resolve(parameters: Parameters, over: Partial<ModelSpec> = {}) {
  const model = { metadata, spec: { ...spec, ...over } }
  const request = { owner, task: 'TextToImage', parameters, inputs: [] } as const
  return resolveParameters(request, { model, loras: [] }, () => 0.5)
}

function paths(parameters: Parameters, over: Partial<ModelSpec> = {}): readonly string[] {
  const resolution = resolve(parameters, over)
  return resolution.kind === 'Refused' ? resolution.errors.map(({ path }) => path) : []
}

describe('parameters', () => {
  it('are filled from the Model, then from ours, and a seed is drawn', () => {
    expect(resolve({ prompt: 'p', steps: 5, seed: -1 })).toEqual({
      kind: 'Resolved',
      parameters: {
        prompt: 'p',
        width: 64,
        height: 64,
        steps: 5,
        guidanceScale: 7.5,
        seed: 2_147_483_648,
        scheduler: 'Euler',
        batchCount: 1,
        batchSize: 1,
        promptSyntax: 'Plain',
        promptOverflow: 'Chunk',
      },
    })
  })

  it('keep a seed that was given, 0 and the largest included', () => {
    for (const seed of [0, 4_294_967_295]) {
      expect(resolve({ prompt: 'p', seed })).toMatchObject({ parameters: { seed } })
    }
  })

  it('keep apart an absent negative prompt and an empty one', () => {
    expect(resolve({ prompt: 'p' })).not.toHaveProperty('parameters.negativePrompt')
    const empty = { negativePrompt: '' }
    expect(resolve({ prompt: 'p', ...empty })).toMatchObject({ parameters: empty })
  })

  it('take the largest size of a Model without defaults', () => {
    const parameters = { width: 128, height: 128 }
    expect(resolve({ prompt: 'p' }, { defaults: {} })).toMatchObject({ parameters })
  })

  it.each([
    [{ prompt: 'p', width: 16 }, 'parameters.width'],
    [{ prompt: 'p', width: 144 }, 'parameters.width'],
    [{ prompt: 'p', width: 72 }, 'parameters.width'],
    [{ prompt: 'p', height: 40 }, 'parameters.height'],
    [{ prompt: 'p', scheduler: 'magic' }, 'parameters.scheduler'],
    [{ prompt: 'p', strength: 1 }, 'parameters.strength'],
    [{}, 'parameters.prompt'],
  ])('%j are refused naming %s', (parameters, path) => {
    expect(paths(parameters)).toEqual([path])
  })

  it('accept the bounds themselves', () => {
    expect(resolve({ prompt: '', width: 32, height: 128 }).kind).toBe('Resolved')
  })

  it('need a task that the Model serves and a size that somebody names', () => {
    expect(paths({ prompt: 'p' }, { tasks: ['Upscale'] })).toEqual(['task'])
    const bare = { defaults: undefined, sizes: undefined }
    expect(paths({ prompt: 'p' }, bare)).toEqual(['parameters.width', 'parameters.height'])
    expect(paths({ prompt: 'p', width: 60, height: 64 }, bare)).toEqual(['parameters.width'])
  })

  it('take no inputs that the task would ignore', () => {
    const inputs = [image]
    const request = { owner, task: 'TextToImage', parameters: { prompt: 'p' }, inputs } as const
    const resolution = resolveParameters(request, { model: { metadata, spec }, loras: [] }, () => 0)
    expect(resolution).toMatchObject({ kind: 'Refused', errors: [{ path: 'inputs' }] })
  })

  it('name the scheduler by its own name, also where the Model used another word', () => {
    const parameters = { scheduler: 'Euler a' }
    expect(resolve({ prompt: 'p', scheduler: 'euler A' })).toMatchObject({ parameters })
    const over = { defaults: { ...spec.defaults, scheduler: 'EULER A' } }
    expect(resolve({ prompt: 'p' }, over)).toMatchObject({ parameters })
  })
})

const image = { role: 'Image' as const, artifact: 'a' }
const mask = { role: 'Mask' as const, artifact: 'b' }
const editing = { tasks: ['TextToImage', 'ImageToImage', 'Inpaint'] } satisfies Partial<ModelSpec>

function resolveFor(task: 'ImageToImage' | 'Inpaint', parameters: Parameters, over = {}) {
  const model = { metadata, spec: { ...spec, ...editing, ...over } }
  const inputs = task === 'Inpaint' ? [image, mask] : [image]
  const request = { owner, task, parameters: { prompt: 'p', ...parameters }, inputs }
  return resolveParameters(request, { model, loras: [] }, () => 0)
}

describe('what a task leaves out', () => {
  const ofInpaint = {
    maskBlur: 0,
    inpaintArea: 'Whole',
    maskPadding: 32,
    keepUnmaskedPixels: false,
  }

  it('is filled for the tasks that use it and for no others', () => {
    const painted = resolveFor('Inpaint', {})
    expect(painted).toMatchObject({ parameters: { strength: 1, ...ofInpaint } })
    const changed = resolveFor('ImageToImage', {})
    expect(changed).toMatchObject({ parameters: { strength: 0.8 } })
    for (const field of [...Object.keys(ofInpaint), 'resizeMode', 'loras']) {
      expect(changed).not.toHaveProperty(`parameters.${field}`)
    }
  })

  it('comes from the Model where the task uses it', () => {
    const defaults = { width: 64, height: 64, strength: 0.4, maskBlur: 4, prompt: 'an example' }
    expect(resolveFor('Inpaint', {}, { defaults })).toMatchObject({
      parameters: { strength: 0.4, maskBlur: 4, prompt: 'p' },
    })
    expect(resolve({ prompt: 'p' }, { defaults })).not.toHaveProperty('parameters.strength')
  })

  it('must leave a step to run', () => {
    const errors = [{ path: 'parameters.strength' }]
    const little = { steps: 20, strength: 0.049 }
    expect(resolveFor('ImageToImage', little)).toMatchObject({ kind: 'Refused', errors })
    expect(resolveFor('Inpaint', { strength: 0 })).toMatchObject({ kind: 'Refused', errors })
    expect(resolveFor('ImageToImage', { steps: 20, strength: 0.05 }).kind).toBe('Resolved')
  })

  it('is refused for tasks that this release does not run', () => {
    const request = { owner, task: 'Upscale', parameters: {}, inputs: [image] } as const
    const models = {
      model: { metadata, spec: { ...spec, tasks: ['Upscale' as const] } },
      loras: [],
    }
    expect(resolveParameters(request, models, () => 0)).toMatchObject({
      kind: 'Refused',
      errors: [{ path: 'task', message: expect.stringContaining('this release runs TextToImage') }],
    })
  })
})

describe('a LoRA', () => {
  const rust: ModelSpec = { ...spec, ...editing, type: 'Lora' }
  const named = (lora: ModelSpec | null, base: Partial<ModelSpec> = {}) => {
    const parameters = { prompt: 'p', loras: [{ name: 'rust', scale: 1 }] }
    const request = { owner, task: 'TextToImage', parameters, inputs: [] } as const
    const loras = [lora === null ? null : { metadata: { ...metadata, name: 'rust' }, spec: lora }]
    const model = { metadata, spec: { ...spec, ...base } }
    return resolveParameters(request, { model, loras }, () => 0)
  }

  it('of the family, for the task and of the department is taken with its scale', () => {
    const loras = [{ name: 'rust', scale: 1 }]
    expect(named(rust)).toMatchObject({ kind: 'Resolved', parameters: { loras } })
  })

  it.each([
    ['that nobody has', null, 'is no LoRA of this department'],
    [
      'of another department',
      { ...rust, visibility: 'Departments' as const, departments: ['assembly'] },
      'is no LoRA of this department',
    ],
    ['that is a base model', { ...rust, type: 'Base' as const }, 'is a base model'],
    ['of another family', { ...rust, family: 'StableDiffusionXL' as const }, 'StableDiffusionXL'],
    ['for another task', { ...rust, tasks: ['Inpaint' as const] }, 'serves Inpaint'],
  ])('%s is refused by its field', (_what, lora, message) => {
    expect(named(lora)).toMatchObject({
      kind: 'Refused',
      errors: [
        { path: 'parameters.loras[0].name', message: expect.stringMatching(`^rust .*${message}`) },
      ],
    })
  })

  it('is no base model', () => {
    expect(named(rust, { type: 'Lora' })).toMatchObject({ errors: [{ path: 'modelRef.name' }] })
  })
})

describe('a model', () => {
  it('is visible to everybody or to the departments it names', () => {
    expect(isModelVisible({ visibility: 'Public' }, 'a')).toBe(true)
    expect(isModelVisible({ visibility: 'Departments', departments: ['a'] }, 'a')).toBe(true)
    expect(isModelVisible({ visibility: 'Departments', departments: ['a'] }, 'b')).toBe(false)
    expect(isModelVisible({ visibility: 'Departments' }, 'b')).toBe(false)
  })
})

function condition(type: string, status: Condition['status'], reason: string): Condition {
  return { type, status, reason, message: '', lastTransitionTime: '2026-01-01T00:00:00Z' }
}

describe('the status of a custom resource', () => {
  it.each([
    [[], 'Pending', 'Pending'],
    [[condition('CreditsReserved', 'True', 'Reserved')], 'Pending', 'Pending'],
    [
      [condition('CreditsReserved', 'False', 'InsufficientCredits')],
      'Pending',
      'InsufficientCredits',
    ],
    [
      [condition('PodsReady', 'False', 'Starting'), condition('Admitted', 'True', 'Admitted')],
      'Pending',
      'Starting',
    ],
    [
      [condition('PodsReady', 'True', 'Running'), condition('Succeeded', 'Unknown', 'Running')],
      'Running',
      'Running',
    ],
    [[condition('Succeeded', 'True', 'Completed')], 'Completed', 'Completed'],
    [[condition('Succeeded', 'False', 'Cancelled')], 'Cancelled', 'Cancelled'],
    [[condition('Succeeded', 'False', 'DeadlineExceeded')], 'Failed', 'DeadlineExceeded'],
  ])('%j is %s because of %s', (conditions, state, reason) => {
    const facts = describeStatus({ conditions })
    expect(facts).toMatchObject({ state, reason })
    expect(facts.message).not.toBe('')
    expect(isTerminalStatus({ conditions })).toBe(!['Pending', 'Running'].includes(state))
  })
})

describe('canonical JSON', () => {
  it('does not depend on the order of keys or on absent members', () => {
    const left = { b: [1, { d: null, c: 'x' }], a: 1.5, e: undefined }
    expect(canonicalJson(left)).toBe('{"a":1.5,"b":[1,{"c":"x","d":null}]}')
    expect(canonicalJson(left)).not.toBe(canonicalJson({ ...left, a: 2 }))
  })
})
