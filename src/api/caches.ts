import type { KubeClient } from '../platform/kube/client.ts'
import { type ListWatch, startListWatch } from '../platform/kube/list-watch.ts'
import { departments, generationJobs, models } from '../platform/kube/resources.ts'
import type { Clock } from '../shared/clock.ts'
import type { Department } from '../shared/crd/department.ts'
import type { GenerationJob } from '../shared/crd/generation-job.ts'
import type { Model } from '../shared/crd/model.ts'
import { labels } from '../shared/names.ts'

/** What this replica knows of the API server without asking. */
export type ResourceCaches = {
  readonly jobs: ListWatch<GenerationJob>
  readonly models: ListWatch<Model>
  readonly departments: ListWatch<Department>
  /** Sets the one listener for keys of changed GenerationJobs. */
  readonly onJobChange: (listener: (key: string) => void) => void
  /** The same for names of changed Departments. */
  readonly onDepartmentChange: (listener: (name: string) => void) => void
  readonly isSynced: () => boolean
  readonly synced: () => Promise<void>
  readonly stop: () => Promise<void>
}

export type CacheDeps = {
  readonly kube: KubeClient
  readonly installation?: string | undefined
  readonly clock: Clock
  readonly random: () => number
  readonly log: { readonly warn: (fields: object, sentence: string) => void }
}

/** Index value under which `jobs.lister.listIndexed` finds the job that has a pod for itself. */
export function podIndex(podUID: string): string {
  return `pod:${podUID}`
}

/**
 * The Departments of this installation: those with its label, or those without any. They are
 * cluster-wide, so two installations in one cluster would otherwise undo each other's edits.
 */
export function departmentSelector(installation: string | undefined): string {
  return installation === undefined
    ? `!${labels.installation}`
    : `${labels.installation}=${installation}`
}

export function openCaches({ kube, installation, ...deps }: CacheDeps): ResourceCaches {
  const { clock, random, log } = deps
  const commonFor = (kind: string) => ({
    client: kube,
    clock,
    random,
    onError: (error: unknown) => log.warn({ err: error, kind }, 'a watch broke and will resume'),
  })
  let listener = ignore
  let departmentListener = ignore
  const caches = {
    jobs: startListWatch({
      ...commonFor(generationJobs.kind),
      kind: generationJobs,
      onChange: (key) => listener(key),
      indexBy: jobIndexes,
    }),
    models: startListWatch({ ...commonFor(models.kind), kind: models }),
    departments: startListWatch({
      ...commonFor(departments.kind),
      kind: departments,
      labelSelector: departmentSelector(installation),
      onChange: (name) => departmentListener(name),
    }),
  }
  const all = [caches.jobs, caches.models, caches.departments]
  return {
    ...caches,
    onJobChange: (next) => {
      listener = next
    },
    onDepartmentChange: (next) => {
      departmentListener = next
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

/** By job id, and by the pod of the current attempt unless that is a pool's. */
function jobIndexes({ spec, metadata, status }: GenerationJob): readonly string[] {
  const { podUID, pool } = status?.attempt ?? {}
  const id = spec.jobId ?? metadata.uid
  return podUID === undefined || pool !== undefined ? [id] : [id, podIndex(podUID)]
}
