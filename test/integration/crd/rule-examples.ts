import type { departmentRules } from '../../../src/shared/crd/department.ts'
import type { generationJobRules } from '../../../src/shared/crd/generation-job-rules.ts'
import type { modelRules } from '../../../src/shared/crd/model-rules.ts'
import {
  condition,
  deliveries,
  department,
  departmentOf,
  fullJob,
  image,
  jobOf,
  type Json,
  type Manifest,
  mask,
  modelOf,
  reference,
} from './objects.ts'

/** A change of a stored object: `before` is created, `after` is what somebody sends next. */
export type Update = { readonly before: Manifest; readonly after: Manifest }
export type Attempt = Manifest | Update

/** What a rule lets through and what it, and no other rule, refuses. */
export type RuleExamples = {
  readonly accepted: readonly Attempt[]
  readonly refused: readonly Attempt[]
}

type ExamplesOf<Table> = {
  readonly [Place in keyof Table]: { readonly [Name in keyof Table[Place]]: RuleExamples }
}

export function isUpdate(attempt: Attempt): attempt is Update {
  return 'before' in attempt
}

function withSpec(object: Manifest, changes: Json): Manifest {
  return { ...object, spec: { ...object.spec, ...changes } }
}

/** Each change alone is refused; a change of something else is accepted. */
function immutable(before: Manifest, refused: readonly Json[], accepted: Json): RuleExamples {
  const update = (changes: Json): Update => ({ before, after: withSpec(before, changes) })
  return { accepted: [update({}), update(accepted)], refused: refused.map(update) }
}

function job(refused: readonly Json[]): RuleExamples {
  return immutable(fullJob, refused, {
    suspend: false,
    priority: 1,
    backoffLimit: 0,
    cancel: true,
    activeDeadlineSeconds: 7,
    queueTimeoutSeconds: 7,
    ttlSecondsAfterFinished: 7,
  })
}

/** An optional field may neither change, nor vanish, nor appear. */
function optional(field: string, other: unknown): RuleExamples {
  const { [field]: value, ...rest } = fullJob.spec
  const bare = { ...fullJob, spec: rest }
  const { accepted, refused } = job([{ [field]: other }, { [field]: undefined }])
  return {
    accepted: [...accepted, { before: bare, after: bare }],
    refused: [...refused, { before: bare, after: withSpec(bare, { [field]: value }) }],
  }
}

function ended(status: string, reason: string): Json {
  return { conditions: [{ ...condition, status, reason }] }
}

const owner = { department, user: 'kim', limits: { runningJobs: 2, queuedJobs: 20 } }
const running = { conditions: [condition] }

function statusChange(before: Json, after: Json | undefined): Update {
  const plain = jobOf('TextToImage')
  return {
    before: { ...plain, status: before },
    after: { ...plain, ...(after && { status: after }) },
  }
}

const other = { ...condition, type: 'PodsReady' }

export const generationJobExamples: ExamplesOf<typeof generationJobRules> = {
  '': {
    terminalIsFinal: {
      accepted: [
        statusChange(running, ended('True', 'Completed')),
        statusChange(running, ended('False', 'Cancelled')),
        statusChange(running, {}),
        statusChange(ended('True', 'Completed'), {
          conditions: [{ ...condition, status: 'True', reason: 'Completed', message: 'x' }, other],
        }),
        statusChange({ conditions: [other] }, {}),
        statusChange({}, ended('False', 'InvalidInput')),
      ],
      refused: [
        statusChange(ended('True', 'Completed'), ended('False', 'Completed')),
        statusChange(ended('True', 'Completed'), ended('True', 'Cancelled')),
        statusChange(ended('False', 'Cancelled'), ended('True', 'Cancelled')),
        statusChange(ended('False', 'Cancelled'), running),
        statusChange(ended('False', 'Cancelled'), { conditions: [other] }),
        statusChange(ended('False', 'Cancelled'), { conditions: [] }),
        statusChange(ended('False', 'Cancelled'), {}),
        statusChange(ended('False', 'Cancelled'), undefined),
      ],
    },
  },
  spec: {
    jobIdImmutable: optional('jobId', '01hzzzzzzzzzzzzzzzzzzzzzzzbbbbbbb'),
    ownerImmutable: {
      accepted: job([]).accepted,
      refused: [
        ...job([
          { owner: { ...owner, user: 'lee' } },
          { owner: { ...owner, limits: { runningJobs: 3 } } },
          { owner: { ...owner, limits: undefined } },
          { owner: { department } },
        ]).refused,
        {
          before: jobOf('TextToImage'),
          after: jobOf('TextToImage', { owner: { department: 'assembly' } }),
        },
      ],
    },
    taskImmutable: job([{ task: 'ImageToImage' }]),
    modelRefImmutable: job([{ modelRef: { name: 'other' } }]),
    parametersImmutable: job([{ parameters: { prompt: 'a dent' } }, { parameters: {} }]),
    inputsImmutable: {
      accepted: optional('inputs', []).accepted.slice(0, 2),
      refused: [
        { before: fullJob, after: withSpec(fullJob, { inputs: [image, mask] }) },
        { before: fullJob, after: withSpec(fullJob, { inputs: [mask, image, reference] }) },
        // An empty list and no list are different things to a strict reader.
        {
          before: jobOf('TextToImage'),
          after: withSpec(jobOf('TextToImage'), { inputs: [] }),
        },
      ],
    },
    executionImmutable: job([{ execution: 'Pooled' }, { execution: undefined }]),
    placementImmutable: optional('placement', { server: 'gpu-2' }),
    cancelIsFinal: {
      accepted: [
        { before: jobOf('TextToImage'), after: jobOf('TextToImage', { cancel: true }) },
        {
          before: jobOf('TextToImage', { cancel: true }),
          after: jobOf('TextToImage', { cancel: true }),
        },
      ],
      refused: [
        {
          before: jobOf('TextToImage', { cancel: true }),
          after: jobOf('TextToImage', { cancel: false }),
        },
        { before: jobOf('TextToImage', { cancel: true }), after: jobOf('TextToImage') },
      ],
    },
    textTaskNeedsPrompt: {
      accepted: [jobOf('TextToImage'), jobOf('TextTo3D'), jobOf('Upscale', { parameters: {} })],
      refused: [
        jobOf('TextToImage', { parameters: {} }),
        jobOf('TextTo3D', { parameters: { seed: 1 } }),
      ],
    },
    textTaskTakesNoInputs: {
      accepted: [jobOf('TextToImage', { inputs: [] }), jobOf('ImageTo3D')],
      refused: [
        jobOf('TextToImage', { inputs: [image] }),
        jobOf('TextTo3D', { inputs: [reference] }),
      ],
    },
    strengthNeedsItsTask: {
      accepted: [
        jobOf('ImageToImage', { parameters: { strength: 0.5 } }),
        jobOf('Inpaint', { parameters: { strength: 1 } }),
      ],
      refused: [
        jobOf('TextToImage', { parameters: { prompt: 'a dent', strength: 0.5 } }),
        jobOf('Upscale', { parameters: { strength: 0.5 } }),
      ],
    },
    imageTaskNeedsImage: {
      accepted: [
        jobOf('ImageToImage', { inputs: [image] }),
        jobOf('ImageTo3D', { inputs: [reference, image] }),
      ],
      refused: [
        jobOf('ImageToImage', { inputs: [reference] }),
        jobOf('Inpaint', { inputs: [mask] }),
        jobOf('Upscale', { inputs: [] }),
        jobOf('SuggestPrompt', { inputs: undefined }),
        jobOf('RemoveBackground', { inputs: undefined }),
        jobOf('ImageTo3D', { inputs: undefined }),
      ],
    },
    maskedTaskNeedsMask: {
      accepted: [jobOf('Inpaint', { inputs: [mask, image] }), jobOf('Cleanup')],
      refused: [
        jobOf('Inpaint', { inputs: [image, reference] }),
        jobOf('Cleanup', { inputs: [image] }),
      ],
    },
    importsAreOfOwner: {
      accepted: [jobOf('ImageToImage', { inputs: [image, mask, reference] })],
      refused: ['imports/assembly/mask.png', 'imports/vision2/mask.png', 'imports/vision'].map(
        (key) =>
          jobOf('ImageToImage', {
            inputs: [image, { ...mask, object: { ...mask.object, key } }],
          }),
      ),
    },
  },
  'spec.owner': {
    limitsNeedUser: {
      accepted: [
        jobOf('TextToImage', {
          owner: { department, user: 'kim', limits: { runningJobs: 1 } },
        }),
        jobOf('TextToImage', { owner: { department, user: 'kim' } }),
      ],
      refused: [jobOf('TextToImage', { owner: { department, limits: { runningJobs: 1 } } })],
    },
  },
  'spec.inputs[]': {
    exactlyOneSource: {
      accepted: [image, { ...mask, role: 'Image' }, { ...reference, role: 'Image' }].map((only) =>
        jobOf('ImageToImage', { inputs: [only] }),
      ),
      refused: [
        { role: 'Image' },
        { ...mask, ...image },
        { ...reference, ...image },
        { ...reference, ...mask, role: 'Image' },
        { ...reference, ...mask, ...image },
      ].map((input) => jobOf('ImageToImage', { inputs: [input] })),
    },
  },
}

function member(type: keyof typeof deliveries): RuleExamples {
  const without = type === 'Claim' ? deliveries.Fetch : deliveries.Claim
  return {
    accepted: [modelOf({ delivery: deliveries[type] }), modelOf({ delivery: without })],
    refused: [
      modelOf({ delivery: { type } }),
      modelOf({ delivery: { ...deliveries[type], ...without } }),
    ],
  }
}

function sizes(width: Json, height: Json = { min: 64, max: 512, multipleOf: 64 }): Manifest {
  return modelOf({ sizes: { width, height }, defaults: undefined })
}

function defaults(side: 'width' | 'height'): RuleExamples {
  const range = { min: 64, max: 512, multipleOf: 64 }
  const model = (value: number) =>
    modelOf({ sizes: { width: range, height: range }, defaults: { [side]: value } })
  return {
    accepted: [
      model(64),
      model(512),
      modelOf({ sizes: undefined, defaults: { [side]: 8 } }),
      modelOf({ defaults: { steps: 4 } }),
      modelOf({ defaults: undefined }),
    ],
    refused: [model(56), model(576), model(72)],
  }
}

const withoutDigest = modelOf({ digest: undefined })
const someGpus = (gpus: number) => ({ gpus, cpu: '1', memory: '1Gi' })

export const modelExamples: ExamplesOf<typeof modelRules> = {
  spec: {
    deliveryImmutable: immutable(
      modelOf(),
      [
        { delivery: deliveries.Claim },
        { delivery: { type: 'Embedded', embedded: { path: 'other' } } },
      ],
      {
        displayName: 'New',
        price: { perImageMicroCredits: 1 },
        visibility: 'Public',
        departments: [],
      },
    ),
    digestIsFinal: {
      accepted: [
        { before: modelOf(), after: modelOf() },
        { before: withoutDigest, after: modelOf() },
        { before: withoutDigest, after: withoutDigest },
      ],
      refused: [
        { before: modelOf(), after: modelOf({ digest: 'b2'.repeat(32) }) },
        { before: modelOf(), after: withoutDigest },
      ],
    },
    noGpuNeedsCpu: {
      accepted: [
        modelOf({ resources: someGpus(0), runsOn: ['Cpu'] }),
        modelOf({ resources: someGpus(0), runsOn: ['Gpu', 'Cpu'] }),
        modelOf({ resources: someGpus(1), runsOn: ['Gpu'] }),
      ],
      refused: [modelOf({ resources: someGpus(0), runsOn: ['Gpu'] })],
    },
    gpusNeedGpu: {
      accepted: [
        modelOf({ resources: someGpus(2), runsOn: ['Cpu', 'Gpu'] }),
        modelOf({ resources: someGpus(0), runsOn: ['Cpu'] }),
      ],
      refused: [modelOf({ resources: someGpus(1), runsOn: ['Cpu'] })],
    },
    departmentsGoWithVisibility: {
      accepted: [
        modelOf({ visibility: 'Departments', departments: ['vision', 'assembly'] }),
        modelOf({ visibility: 'Public', departments: [] }),
        modelOf({ visibility: undefined, departments: undefined }),
      ],
      refused: [
        modelOf({ visibility: 'Departments', departments: [] }),
        modelOf({ visibility: 'Departments', departments: undefined }),
        modelOf({ visibility: 'Public', departments: ['vision'] }),
        // Somebody who lists departments means to keep the others out.
        modelOf({ visibility: undefined, departments: ['vision'] }),
      ],
    },
    defaultWidthFits: defaults('width'),
    defaultHeightFits: defaults('height'),
  },
  'spec.delivery': {
    embeddedGoesWithType: member('Embedded'),
    claimGoesWithType: member('Claim'),
    imageGoesWithType: member('Image'),
    fetchGoesWithType: member('Fetch'),
  },
  'spec.sizes.width': {
    minUpToMax: {
      accepted: [sizes({ min: 64, max: 64, multipleOf: 8 })],
      refused: [sizes({ min: 72, max: 64, multipleOf: 8 })],
    },
  },
  'spec.sizes.height': {
    minUpToMax: {
      accepted: [sizes({ min: 64, max: 72, multipleOf: 8 }, { min: 64, max: 64, multipleOf: 8 })],
      refused: [sizes({ min: 64, max: 72, multipleOf: 8 }, { min: 72, max: 64, multipleOf: 8 })],
    },
  },
}

export const departmentExamples: ExamplesOf<typeof departmentRules> = {
  spec: {
    namespaceImmutable: immutable(
      departmentOf(),
      [{ namespace: 'assembly' }, { namespace: undefined }],
      { weight: 1, limits: undefined, displayName: 'New' },
    ),
    namespaceIsNotSystem: {
      accepted: [departmentOf({ namespace: undefined }), departmentOf({ namespace: 'kubernetes' })],
      refused: ['kube-system', 'kube-public', 'atelier-system'].map((namespace) =>
        departmentOf({ namespace }),
      ),
    },
  },
}
