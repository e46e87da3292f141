import type { KubeClient } from '../platform/kube/client.ts'
import {
  type Lister,
  type ListWatch,
  type ListWatchLimits,
  type ListWatchOptions,
  startListWatch,
} from '../platform/kube/list-watch.ts'
import {
  type Deployment,
  departments,
  deployments,
  generationJobs,
  type Job,
  jobs,
  modelPools,
  models,
  type Namespace,
  namespaces,
  type Node,
  nodes,
  type Pod,
  pods,
} from '../platform/kube/resources.ts'
import type { KubeObject } from '../platform/kube/types.ts'
import type { Clock } from '../shared/clock.ts'
import type { Department } from '../shared/crd/department.ts'
import type { GenerationJob } from '../shared/crd/generation-job.ts'
import type { ModelPool } from '../shared/crd/model-pool.ts'
import type { Model } from '../shared/crd/model.ts'
import { labels } from '../shared/names.ts'
import { isTerminal } from './generation-job/eligibility.ts'
import { parseChildName } from './generation-job/names.ts'
import { type PoolKey, poolKeysOf } from './model-pool/names.ts'

/** Everything the controller knows about the cluster without asking. */
export type Caches = {
  readonly generationJobs: Lister<GenerationJob>
  /** Attempts: batch/v1 Jobs and pods that carry the label of a GenerationJob. */
  readonly jobs: Lister<Job>
  readonly pods: Lister<Pod>
  readonly modelPools: Lister<ModelPool>
  /** Deployments and pods that carry the label of a ModelPool. */
  readonly deployments: Lister<Deployment>
  readonly poolPods: Lister<Pod>
  readonly models: Lister<Model>
  readonly departments: Lister<Department>
  readonly nodes: Lister<Node>
  readonly namespaces: Lister<Namespace>
}

/** Values under which the caches find objects. */
export const indexKeys = {
  uid: (uid: string) => `uid/${uid}`,
  model: (name: string) => `model/${name}`,
  /** Pods of a ModelPool. */
  pool: (key: PoolKey) => `pool/${key}`,
  /** GenerationJobs whose current attempt has a slot of this pod, and has not ended. */
  slotsOf: (podUid: string) => `slots-of/${podUid}`,
  /** The same for all pods of the pools of this name, in any namespace. */
  slotsIn: (pool: string) => `slots-in/${pool}`,
  /** GenerationJobs without a verdict. */
  open: 'open',
  /** Jobs that are not finished, and pods that are not terminal. */
  live: 'live',
} as const

/** Told what changed, by name or key; for attempts by the uid of their GenerationJob. */
export type CacheListeners = {
  readonly onGenerationJob: (key: string) => void
  readonly onAttempt: (uid: string) => void
  readonly onModelPool: (key: PoolKey) => void
  readonly onPoolChild: (key: PoolKey) => void
  readonly onModel: (name: string) => void
  readonly onDepartment: (name: string) => void
  readonly onNode: (name: string) => void
  readonly onNamespace: (name: string) => void
}

export type CacheOptions = {
  readonly client: KubeClient
  readonly clock: Clock
  readonly random: () => number
  /** Namespaced kinds are read from here only; absent means everywhere. */
  readonly namespace?: string | undefined
  readonly nodeSelector: Readonly<Record<string, string>>
  readonly onError: (error: unknown) => void
  /** Only tests change them. */
  readonly limits?: Partial<ListWatchLimits> | undefined
}

export type RunningCaches = {
  readonly caches: Caches
  readonly synced: () => Promise<void>
  readonly isSynced: () => boolean
  readonly stop: () => Promise<void>
}

export function startCaches(options: CacheOptions, listeners: CacheListeners): RunningCaches {
  const watches = {
    ...startJobWatches(options, listeners),
    ...startPoolWatches(options, listeners),
    ...startClusterWatches(options, listeners),
  }
  const all: readonly ListWatch<unknown>[] = Object.values(watches)
  return {
    caches: {
      generationJobs: watches.generationJobs.lister,
      jobs: watches.jobs.lister,
      pods: watches.pods.lister,
      modelPools: watches.modelPools.lister,
      deployments: watches.deployments.lister,
      poolPods: watches.poolPods.lister,
      models: watches.models.lister,
      departments: watches.departments.lister,
      nodes: watches.nodes.lister,
      namespaces: watches.namespaces.lister,
    },
    synced: async () => void (await Promise.all(all.map(async (each) => await each.synced()))),
    isSynced: () => all.every((each) => each.isSynced()),
    stop: async () => void (await Promise.all(all.map(async (each) => await each.stop()))),
  }
}

function startJobWatches(options: CacheOptions, listeners: CacheListeners) {
  const { namespace } = options
  const attempts = { namespace, labelSelector: labels.jobUid, onChange: listeners.onAttempt }
  return {
    generationJobs: watch(options, {
      kind: generationJobs,
      namespace,
      onChange: listeners.onGenerationJob,
      indexBy: indexGenerationJob,
    }),
    jobs: watch(options, { ...attempts, kind: jobs, keysOf: ownerUids, indexBy: indexJob }),
    pods: watch(options, { ...attempts, kind: pods, keysOf: ownerUids, indexBy: indexPod }),
  }
}

function startPoolWatches(options: CacheOptions, listeners: CacheListeners) {
  const { namespace } = options
  const { onModelPool, onPoolChild } = listeners
  const children = { namespace, labelSelector: labels.pool, onChange: onPoolChild }
  return {
    modelPools: watch(options, {
      kind: modelPools,
      namespace,
      onChange: onModelPool,
      indexBy: ({ spec }) => spec.models.map(({ name }) => indexKeys.model(name)),
    }),
    deployments: watch(options, { ...children, kind: deployments, keysOf: poolKeysOf }),
    poolPods: watch(options, {
      ...children,
      kind: pods,
      keysOf: poolKeysOf,
      indexBy: (pod) => [
        indexKeys.uid(pod.metadata.uid),
        ...poolKeysOf(pod).map((key) => indexKeys.pool(key)),
      ],
    }),
  }
}

function startClusterWatches(options: CacheOptions, listeners: CacheListeners) {
  const selector = Object.entries(options.nodeSelector).map(([name, value]) => `${name}=${value}`)
  const labelSelector = selector.length === 0 ? undefined : selector.join(',')
  return {
    models: watch(options, { kind: models, onChange: listeners.onModel }),
    departments: watch(options, { kind: departments, onChange: listeners.onDepartment }),
    nodes: watch(options, { kind: nodes, labelSelector, onChange: listeners.onNode }),
    namespaces: watch(options, { kind: namespaces, onChange: listeners.onNamespace }),
  }
}

type WatchSubject<T extends KubeObject> = Omit<
  ListWatchOptions<T>,
  'client' | 'clock' | 'random' | 'onError' | 'limits'
>

function watch<T extends KubeObject>(
  { client, clock, random, onError, limits }: CacheOptions,
  subject: WatchSubject<T>,
): ListWatch<T> {
  return startListWatch({ client, clock, random, onError, limits, ...subject })
}

function indexGenerationJob(job: GenerationJob): string[] {
  const { modelRef, parameters } = job.spec
  const names = [modelRef, ...(parameters.loras ?? [])].map(({ name }) => indexKeys.model(name))
  const found = [indexKeys.uid(job.metadata.uid), ...new Set(names)]
  return isTerminal(job) ? found : [...found, indexKeys.open, ...indexSlot(job)]
}

function indexSlot({ status }: GenerationJob): string[] {
  const { pool, podUID, outcome } = status?.attempt ?? {}
  const hasSlot = pool !== undefined && podUID !== undefined && outcome === undefined
  return hasSlot ? [indexKeys.slotsOf(podUID), indexKeys.slotsIn(pool)] : []
}

/** By name, not label: a label can be changed, and the name is what we made. */
function ownerUids(object: KubeObject): string[] {
  const parsed = parseChildName(object.metadata.name)
  return parsed === undefined ? [] : [parsed.uid]
}

function indexJob(job: Job): string[] {
  const isFinished = job.status?.completionTime !== undefined || hasFailed(job)
  const found = ownerUids(job).map(indexKeys.uid)
  return isFinished ? found : [...found, indexKeys.live]
}

function hasFailed(job: Job): boolean {
  return (job.status?.conditions ?? []).some(({ type, status }) => {
    return type === 'Failed' && status === 'True'
  })
}

function indexPod(pod: Pod): string[] {
  const isTerminalPod = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed'
  const found = ownerUids(pod).map(indexKeys.uid)
  return isTerminalPod ? found : [...found, indexKeys.live]
}
