import type { KubeClient } from '../../../src/platform/kube/client.ts'
import {
  createObject,
  deleteObject,
  getObject,
  patchStatus,
} from '../../../src/platform/kube/objects.ts'
import {
  departments,
  generationJobs,
  models,
  namespaces,
} from '../../../src/platform/kube/resources.ts'
import type { Condition } from '../../../src/shared/crd/common.ts'
import type { GenerationJobStatus } from '../../../src/shared/crd/generation-job.ts'
import type { ModelSpec } from '../../../src/shared/crd/model.ts'
import { labels } from '../../../src/shared/names.ts'
import { eventually } from '../../support/eventually.ts'

/** Cluster objects of one test file: two departments, three models and a namespace for jobs. */
export type Surroundings = {
  readonly namespace: string
  readonly quality: string
  readonly research: string
  /** Ready, for everybody. */
  readonly model: string
  /** Ready, for `research` only. */
  readonly secretModel: string
  readonly unreadyModel: string
  /** A LoRA for everybody, and one of another family. */
  readonly lora: string
  readonly foreignLora: string
  /** Does what the controller would: writes the status of a job’s custom resource. */
  readonly setJobStatus: (jobId: string, status: GenerationJobStatus) => Promise<void>
  readonly remove: () => Promise<void>
}

export async function createSurroundings(admin: KubeClient, name: string): Promise<Surroundings> {
  const namespace = `${name}-jobs`
  const [quality, research] = [`${name}-quality`, `${name}-research`]
  const [model, secretModel, unreadyModel] = [`${name}-open`, `${name}-secret`, `${name}-unready`]
  await createObject(admin, namespaces, { metadata: { name: namespace } })
  for (const department of [quality, research]) {
    const spec = { weight: 100, namespace, managedBy: 'api' } as const
    const labelled = { [labels.installation]: name }
    const metadata = { name: department, labels: labelled }
    await createObject(admin, departments, { metadata, spec })
  }
  await createModel(admin, { name: model, ready: 'True', spec: {} })
  const secret: Partial<ModelSpec> = { visibility: 'Departments', departments: [research] }
  await createModel(admin, { name: secretModel, ready: 'True', spec: secret })
  const undelivered: Partial<ModelSpec> = {
    delivery: { type: 'Fetch', fetch: { url: 'https://models.example/a' } },
    digest: 'a'.repeat(64),
  }
  await createModel(admin, { name: unreadyModel, ready: 'False', spec: undelivered })
  const [lora, foreignLora] = [`${name}-lora`, `${name}-lora-xl`]
  await createModel(admin, { name: lora, ready: 'True', spec: loraSpec })
  const foreign = { ...loraSpec, family: 'StableDiffusionXL' } as const
  await createModel(admin, { name: foreignLora, ready: 'True', spec: foreign })
  return {
    namespace,
    quality,
    research,
    model,
    secretModel,
    unreadyModel,
    lora,
    foreignLora,
    setJobStatus: async (jobId, status) => {
      const ref = { namespace, name: `gj-${jobId}` }
      const object = await getObject(admin, generationJobs, ref)
      await patchStatus(admin, generationJobs, { object, status })
    },
    remove: async () => {
      for (const one of [model, secretModel, unreadyModel, lora, foreignLora]) {
        await deleteObject(admin, models, { name: one })
      }
      for (const department of [quality, research]) {
        await deleteObject(admin, departments, { name: department })
      }
      await deleteObject(admin, namespaces, { name: namespace })
    },
  }
}

const now = '2026-11-21T14:00:00Z'

const loraSpec: Partial<ModelSpec> = {
  type: 'Lora',
  price: { perImageMicroCredits: 0 },
  resources: { gpus: 0, cpu: '0', memory: '64Mi' },
}

type NewModel = {
  readonly name: string
  readonly ready: 'True' | 'False'
  readonly spec: Partial<ModelSpec>
}

const pictures = {
  defaults: { width: 64, height: 64, steps: 20, guidanceScale: 3 },
  sizes: {
    width: { min: 64, max: 64, multipleOf: 8 },
    height: { min: 64, max: 64, multipleOf: 8 },
  },
}

async function createModel(admin: KubeClient, { name, ready, spec }: NewModel): Promise<void> {
  await createObject(admin, models, {
    metadata: { name },
    spec: {
      type: 'Base',
      family: 'StableDiffusion1',
      licence: 'Apache-2.0',
      tasks: ['TextToImage', 'ImageToImage', 'Inpaint'],
      delivery: { type: 'Embedded', embedded: { path: 'demo' } },
      ...(spec.type === 'Lora' ? {} : pictures),
      price: { perImageMicroCredits: 1_500_000 },
      resources: { gpus: 1, cpu: '500m', memory: '1Gi' },
      runsOn: ['Gpu', 'Cpu'],
      visibility: 'Public',
      ...spec,
    },
  })
  const reason = ready === 'True' ? 'Ready' : 'DeliveryUnsupported'
  const condition = { type: 'Ready', status: ready, reason, message: '', lastTransitionTime: now }
  // A controller that runs beside the test may write the same status at the same time.
  await eventually(async () => {
    const object = await getObject(admin, models, { name })
    await patchStatus(admin, models, { object, status: { conditions: [condition] } })
  })
}

/** The condition `Succeeded` as the controller writes it. */
export function succeeded(status: Condition['status'], reason: string): Condition {
  return {
    type: 'Succeeded',
    status,
    reason,
    message: `It is ${reason}.`,
    lastTransitionTime: now,
    observedGeneration: 1,
  }
}
