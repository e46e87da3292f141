import type { KubeClient } from '../platform/kube/client.ts'
import { type ListWatch, startListWatch } from '../platform/kube/list-watch.ts'
import { departments, generationJobs, models } from '../platform/kube/resources.ts'
import type { Clock } from '../shared/clock.ts'
import type { Department } from '../shared/crd/department.ts'
import type { GenerationJob } from '../shared/crd/generation-job.ts'
import type { Model } from '../shared/crd/model.ts'

/** What this replica knows of the API server without asking. */
export type ResourceCaches = {
  readonly jobs: ListWatch<GenerationJob>
  readonly models: ListWatch<Model>
  readonly departments: ListWatch<Department>
  /** Sets the one listener for keys of changed GenerationJobs. */
  readonly onJobChange: (listener: (key: string) => void) => void
  readonly isSynced: () => boolean
  readonly synced: () => Promise<void>
  readonly stop: () => Promise<void>
}

export type CacheDeps = {
  readonly kube: KubeClient
  readonly clock: Clock
  readonly random: () => number
  readonly log: { readonly warn: (fields: object, sentence: string) => void }
}

/** Index value under which `jobs.lister.listIndexed` finds the job that runs in a pod. */
export function podIndex(podUID: string): string {
  return `pod:${podUID}`
}

export function openCaches({ kube, clock, random, log }: CacheDeps): ResourceCaches {
  const commonFor = (kind: string) => ({
    client: kube,
    clock,
    random,
    onError: (error: unknown) => log.warn({ err: error, kind }, 'a watch broke and will resume'),
  })
  let listener = ignore
  const caches = {
    jobs: startListWatch({
      ...commonFor(generationJobs.kind),
      kind: generationJobs,
      onChange: (key) => listener(key),
      indexBy: jobIndexes,
    }),
    models: startListWatch({ ...commonFor(models.kind), kind: models }),
    departments: startListWatch({ ...commonFor(departments.kind), kind: departments }),
  }
  const all = [caches.jobs, caches.models, caches.departments]
  return {
    ...caches,
    onJobChange: (next) => {
      listener = next
    },
    isSynced: () => all.every((cache) => cache.isSynced()),
    synced: async () => {
      await Promise.all(all.map((cache) => cache.synced()))
    },
    stop: async () => {
      await Promise.all(all.map((cache) => cache.stop()))
    },
  }
}

function ignore(_key: string): void {}

/** By job id, and by the pod of the current attempt. */
function jobIndexes({ spec, metadata, status }: GenerationJob): readonly string[] {
  const podUID = status?.attempt?.podUID
  const id = spec.jobId ?? metadata.uid
  return podUID === undefined ? [id] : [id, podIndex(podUID)]
}
