import { setTimeout as pause } from 'node:timers/promises'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { createObject, getObject } from '../../../src/platform/kube/objects.ts'
import {
  departments,
  modelPools,
  models,
  namespaces,
} from '../../../src/platform/kube/resources.ts'
import { departmentSpec } from '../../../src/shared/crd/department.ts'
import { modelPoolSpec } from '../../../src/shared/crd/model-pool.ts'
import { modelSpec } from '../../../src/shared/crd/model.ts'
import { jobsNamespace, labels } from '../../../src/shared/names.ts'

export const poolName = 'bench'
const readyTimeoutMs = 120_000

/** Departments of equal weight, each with a namespace of its own name. */
export async function createDepartments(
  admin: KubeClient,
  names: readonly string[],
): Promise<void> {
  await Promise.all(
    names.map(async (name) => {
      const metadata = { name, labels: { [labels.department]: name } }
      await createObject(admin, namespaces, { metadata })
      const spec = departmentSpec.parse({ namespace: name })
      await createObject(admin, departments, { metadata: { name }, spec })
    }),
  )
}

export type ModelDraft = { readonly name: string; readonly gpus: number }

/** Models that simulated pods serve, so small that only GPUs are ever short. */
export async function createModels(
  admin: KubeClient,
  drafts: readonly ModelDraft[],
): Promise<void> {
  for (const { name, gpus } of drafts) {
    const spec = modelSpec.parse({
      family: 'StableDiffusion1',
      licence: 'Apache-2.0',
      tasks: ['TextToImage'],
      // The simulation tells models apart by the last part of the path.
      delivery: { type: 'Embedded', embedded: { path: name } },
      price: { perImageMicroCredits: 1000 },
      resources: { gpus, cpu: '1m', memory: '1Mi' },
      runsOn: ['Gpu'],
    })
    await createObject(admin, models, { metadata: { name }, spec })
  }
}

export type PoolDraft = {
  readonly models: readonly string[]
  readonly pods: number
  readonly slots: number
}

/** A pool of the platform with a fixed number of pods; resolves when all of them are ready. */
export async function createPool(admin: KubeClient, draft: PoolDraft): Promise<void> {
  const { pods } = draft
  const spec = modelPoolSpec.parse({
    models: draft.models.map((name) => ({ name })),
    minReplicas: pods,
    maxReplicas: pods,
    slots: draft.slots,
    drainSeconds: 30,
  })
  const ref = { name: poolName, namespace: jobsNamespace }
  await createObject(admin, modelPools, { metadata: ref, spec })
  const endMs = performance.now() + readyTimeoutMs
  for (;;) {
    const { status } = await getObject(admin, modelPools, ref)
    if (status?.readyReplicas === pods) return
    if (performance.now() > endMs) {
      throw new Error(`the pool does not become ready: ${JSON.stringify(status)}`)
    }
    await pause(100)
  }
}
