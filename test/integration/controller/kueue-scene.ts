import { createObject, listObjects, mergePatch } from '../../../src/platform/kube/objects.ts'
import { generationJobs, jobs } from '../../../src/platform/kube/resources.ts'
import {
  type GenerationJob,
  type GenerationJobSpec,
  generationJobSpec,
} from '../../../src/shared/crd/generation-job.ts'
import { gpuResource } from '../../../src/shared/names.ts'
import { kueueLabels } from '../../../src/controller/kueue/names.ts'
import { parseChildName } from '../../../src/controller/generation-job/names.ts'
import {
  clusterQueues,
  localQueues,
  resourceFlavors,
  workloads,
} from '../../support/kueue/kinds.ts'
import type { World } from './world.ts'

export const queueName = 'team'

/** A LocalQueue `team` in the world's namespace with a quota of so many GPUs. */
export async function giveQuota(world: World, gpus: number): Promise<void> {
  const { admin, namespace } = world
  await createObject(admin, resourceFlavors, { metadata: { name: namespace }, spec: {} })
  const quotas = { cpu: '64', memory: '64Gi', [gpuResource]: String(gpus) }
  const resources = Object.entries(quotas).map(([name, nominalQuota]) => ({ name, nominalQuota }))
  await createObject(admin, clusterQueues, {
    metadata: { name: namespace },
    spec: {
      namespaceSelector: {},
      resourceGroups: [
        { coveredResources: Object.keys(quotas), flavors: [{ name: namespace, resources }] },
      ],
    },
  })
  await giveQueue(world)
}

export async function giveQueue({ admin, namespace }: World): Promise<void> {
  const spec = { clusterQueue: namespace }
  await createObject(admin, localQueues, { metadata: { name: queueName, namespace }, spec })
}

export type QueuedJob = {
  readonly name?: string
  readonly queue?: string
  readonly spec?: Partial<GenerationJobSpec>
}

/** A GenerationJob that names a queue. */
export async function createQueuedJob(
  { admin, namespace }: World,
  { name = 'job', queue = queueName, spec = {} }: QueuedJob = {},
): Promise<GenerationJob> {
  return await createObject(admin, generationJobs, {
    metadata: { name, namespace, labels: { [kueueLabels.queue]: queue } },
    spec: generationJobSpec.parse({
      owner: { department: namespace },
      task: 'TextToImage',
      modelRef: { name: namespace },
      parameters: { prompt: 'a test' },
      ...spec,
    }),
  })
}

/** What stands in the Jobs of a GenerationJob about who may let them run. */
export async function attemptsIn({ admin, namespace }: World, uid: string) {
  const all = await listObjects(admin, jobs, { namespace })
  const own = all.filter(({ metadata }) => parseChildName(metadata.name)?.uid === uid)
  return own.map(({ metadata, spec }) => ({
    number: parseChildName(metadata.name)?.attempt,
    queue: metadata.labels?.[kueueLabels.queue],
    suspended: spec?.suspend === true,
  }))
}

/** As an administrator does by hand. */
export async function setActive(world: World, uid: string, active: boolean): Promise<void> {
  const { admin, namespace } = world
  const all = await listObjects(admin, workloads, { namespace })
  const own = all.filter(({ metadata }) =>
    metadata.ownerReferences?.some(({ name }) => parseChildName(name)?.uid === uid),
  )
  for (const { metadata } of own) {
    await mergePatch(admin, workloads, {
      name: metadata.name,
      namespace,
      patch: { spec: { active } },
    })
  }
}
