import { z } from 'zod'
import { tasks, type Task } from '../../../src/shared/crd/generation-job.ts'
import { apiGroupVersion } from '../../../src/shared/names.ts'

export type Json = Readonly<Record<string, unknown>>
/** A custom resource as a person would write it: nothing is known about its shape. */
export type Manifest = {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: Json
  readonly status?: Json
}

/** Department of the test's namespace; keys of imports begin with it. */
export const department = 'vision'

const digest = 'a1'.repeat(32)
const time = '2026-01-02T03:04:05.6Z'

export const condition = {
  type: 'Succeeded',
  status: 'Unknown',
  observedGeneration: 1,
  lastTransitionTime: time,
  reason: 'Running',
  message: 'The job has not ended.',
}

function manifest(kind: string, spec: Json): Manifest {
  return {
    apiVersion: apiGroupVersion,
    kind,
    metadata: { name: `${kind.toLowerCase()}-example` },
    spec,
  }
}

export const image = { role: 'Image', artifact: 'artifact-1' }
export const mask = {
  role: 'Mask',
  object: { key: `imports/${department}/mask.png`, sha256: digest },
}
export const reference = { role: 'Reference', configMapRef: { name: 'style', key: 'style.png' } }

/** The least that a task needs. */
export function jobOf(task: Task, changes: Json = {}): Manifest {
  const text = task === 'TextToImage' || task === 'TextTo3D'
  const prompted = text || task === 'ImageToImage' || task === 'Inpaint'
  return manifest('GenerationJob', {
    owner: { department },
    task,
    modelRef: { name: 'demo' },
    parameters: prompted ? { prompt: 'a scratch on metal' } : {},
    ...(text ? {} : { inputs: task === 'ImageToImage' ? [image] : [image, mask] }),
    ...changes,
  })
}

/** Of a task that takes as many inputs as the schema does. */
export const manyInputs = jobOf('Cleanup', { inputs: [image, mask, reference] })

/** Every field that a job can have. */
export const fullJob = manifest('GenerationJob', {
  jobId: '01hzzzzzzzzzzzzzzzzzzzzzzzaaaaaaa',
  owner: { department, user: 'kim', limits: { runningJobs: 2, queuedJobs: 20 } },
  task: 'Inpaint',
  modelRef: { name: 'demo' },
  parameters: {
    prompt: 'a scratch on metal',
    negativePrompt: 'blurred',
    width: 512,
    height: 512,
    steps: 20,
    guidanceScale: 3.5,
    seed: 1,
    scheduler: 'DPM++ 2M Karras',
    batchCount: 2,
    batchSize: 2,
    strength: 0.5,
    resizeMode: 'Fit',
    maskBlur: 4,
    inpaintArea: 'MaskedOnly',
    maskPadding: 16,
    keepUnmaskedPixels: true,
    promptSyntax: 'Weighted',
    promptOverflow: 'Truncate',
    loras: [{ name: 'rust', scale: 0.5 }],
  },
  inputs: [image, mask],
  execution: 'Dedicated',
  placement: { server: 'gpu-1' },
  priority: 60,
  suspend: true,
  cancel: false,
  backoffLimit: 1,
  activeDeadlineSeconds: 600,
  queueTimeoutSeconds: 600,
  ttlSecondsAfterFinished: 600,
})

const jobStatus: Json = {
  observedGeneration: 1,
  conditions: [condition],
  attempt: {
    number: 1,
    podName: 'pod-1',
    podUID: 'uid-1',
    nodeName: 'node-1',
    pool: 'demo',
    runner: 'runner-1',
    startTime: time,
    outcome: 'Completed',
  },
  failedAttempts: 1,
  disruptedAttempts: 1,
  startTime: time,
  activeSeconds: 5,
  retryTime: time,
  completionTime: time,
  outputs: [
    {
      name: '0.png',
      key: 'jobs/1/1/0.png',
      sha256: digest,
      sizeBytes: 100,
      contentType: 'image/png',
      width: 64,
      height: 64,
      seed: 1,
      inputChanges: ['inputs[0]: 16-bit values reduced to 8'],
    },
  ],
  summary: '1/2',
}

const sizes = {
  width: { min: 8, max: 4096, multipleOf: 8 },
  height: { min: 8, max: 4096, multipleOf: 8 },
}
const smallest = { min: 8, max: 8, multipleOf: 8 }
const largest = { min: 4096, max: 4096, multipleOf: 8 }

const { loras: _ofJobs, ...defaults } = z
  .looseObject({ loras: z.unknown() })
  .parse(fullJob.spec['parameters'])

/** The least that a LoRA needs: it has no pod and no price of its own. */
export function loraOf(changes: Json = {}): Manifest {
  return modelOf({
    type: 'Lora',
    defaults: undefined,
    sizes: undefined,
    price: { perImageMicroCredits: 0 },
    resources: { gpus: 0, cpu: '0', memory: '64Mi' },
    ...changes,
  })
}

/** A model with every field; `delivery` differs from model to model. */
export function modelOf(changes: Json = {}): Manifest {
  return manifest('Model', {
    type: 'Base',
    displayName: 'Demo',
    description: 'Defects on materials.',
    family: 'StableDiffusion1',
    licence: 'Apache-2.0',
    tasks: ['TextToImage'],
    delivery: { type: 'Embedded', embedded: { path: 'demo' } },
    digest,
    defaults,
    sizes,
    price: {
      flatMicroCredits: 1,
      perImageMicroCredits: 1_000_000,
      perMegapixelStepMicroCredits: 100_000,
      perTrainingStepMicroCredits: 10,
    },
    resources: { gpus: 1, cpu: '500m', memory: '1Gi' },
    runsOn: ['Gpu', 'Cpu'],
    visibility: 'Departments',
    departments: [department],
    ...changes,
  })
}

export const deliveries = {
  Embedded: { type: 'Embedded', embedded: { path: 'demo' } },
  Claim: { type: 'Claim', claim: { name: 'models', path: 'sd/demo' } },
  Image: { type: 'Image', image: { reference: 'registry.example/demo@sha256:1', path: 'demo' } },
  Fetch: {
    type: 'Fetch',
    fetch: {
      url: 'https://models.example/demo/',
      sizeBytes: 7_000_000_000,
      cache: { claim: 'models' },
      secretRef: { name: 'atelier-fetch-models' },
    },
  },
} as const

export function departmentOf(changes: Json = {}): Manifest {
  return manifest('Department', {
    displayName: 'Vision',
    weight: 200,
    namespace: 'vision',
    limits: { runningJobs: 8, runningJobsPerUser: 4, queuedJobs: 100 },
    managedBy: 'platform',
    ...changes,
  })
}

export function poolOf(changes: Json = {}, gpu: Json = {}): Manifest {
  return manifest('ModelPool', {
    models: [{ name: 'demo' }, { name: 'rust' }],
    minReplicas: 1,
    maxReplicas: 100,
    replicas: 2,
    idleSeconds: 60,
    slots: 2,
    drainSeconds: 600,
    gpu: {
      count: 1,
      minMemoryMiB: 40_000,
      products: ['A100-SXM4-40GB'],
      sharing: 'Exclusive',
      api: 'DevicePlugin',
      ...gpu,
    },
    ...changes,
  })
}

/** The least that a pool needs. */
export const smallPool = manifest('ModelPool', { models: [{ name: 'demo' }] })

const poolStatus: Json = {
  observedGeneration: 1,
  conditions: [{ ...condition, type: 'Ready' }],
  replicas: 2,
  readyReplicas: 1,
  selector: 'atelier.dev/pool=demo',
}

const readyStatus: Json = { observedGeneration: 1, conditions: [{ ...condition, type: 'Ready' }] }

/**
 * Objects that the API server takes, by plural. Together they have every field of the schema and
 * leave room for each limit: one of them takes it.
 */
export const accepted: Readonly<Record<string, readonly Manifest[]>> = {
  generationjobs: [fullJob, manyInputs, ...tasks.map((task) => jobOf(task))],
  models: [
    ...Object.values(deliveries).map((delivery) => modelOf({ delivery })),
    modelOf({ defaults: undefined, sizes: { width: smallest, height: smallest } }),
    modelOf({ defaults: undefined, sizes: { width: largest, height: largest } }),
    modelOf({ sizes: undefined }),
    loraOf(),
    modelOf({ visibility: 'Public', departments: undefined }),
    modelOf({ runsOn: ['Gpu'] }),
    modelOf({ runsOn: ['Cpu'], resources: { gpus: 0, cpu: '1', memory: '1Gi' } }),
  ],
  departments: [departmentOf()],
  modelpools: [
    poolOf(),
    smallPool,
    { ...smallPool, spec: { ...smallPool.spec, maxReplicas: 5 } },
    poolOf({}, { products: ['1g.5gb', 'A100-SXM4-40GB-MIG-1g.5gb'], sharing: 'Mig', api: 'DRA' }),
  ],
}

/** A complete status by plural. */
export const statuses: Readonly<Record<string, Json>> = {
  generationjobs: jobStatus,
  models: readyStatus,
  departments: readyStatus,
  modelpools: poolStatus,
}
