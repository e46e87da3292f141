import { type Caches, indexKeys } from '../../../src/controller/caches.ts'
import { AdmissionBoard } from '../../../src/controller/generation-job/admission-board.ts'
import { HoldMemory } from '../../../src/controller/generation-job/hold-memory.ts'
import { quotaQueueOf } from '../../../src/controller/kueue/quota-queue.ts'
import { PoolBoard } from '../../../src/controller/model-pool/pool-board.ts'
import type { PoolDemand } from '../../../src/controller/model-pool/pool-demand.ts'
import { packMarks } from '../../../src/controller/model-pool/pack-marks.ts'
import type { Lister } from '../../../src/platform/kube/list-watch.ts'
import { type Job, keyOf, type Node, type Pod } from '../../../src/platform/kube/resources.ts'
import type { Department } from '../../../src/shared/crd/department.ts'
import type { GenerationJob, GenerationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import type { Model } from '../../../src/shared/crd/model.ts'
import { type ModelPool, modelPoolSpec } from '../../../src/shared/crd/model-pool.ts'
import type { PoolPodState, SlotState } from '../../../src/shared/wire/pool.ts'
import { aCondition, aJob, aModel, at, createdMs, uid } from './builders.ts'
import { aKubeNode } from './kube-builders.ts'

/** Objects as the caches show them, which a test may change as a watch would. */
export type Cluster = {
  jobs: GenerationJob[]
  kubeJobs: Job[]
  pods: Pod[]
  nodes: Node[]
  departments: Department[]
  modelPools: ModelPool[]
  poolPods: Pod[]
  models: Model[]
}

type Named = { readonly metadata: { readonly name: string; readonly namespace?: string } }

function listerOver<T extends Named>(
  list: () => readonly T[],
  isIndexed: (object: T, value: string) => boolean = () => false,
): Lister<T> {
  return {
    get: (key) => list().find((object) => keyOf(object) === key),
    list,
    listIndexed: (value) => list().filter((object) => isIndexed(object, value)),
  }
}

function isChild({ metadata }: Named, value: string): boolean {
  return value === indexKeys.live || value === indexKeys.uid(metadata.name.slice(3, 39))
}

function isJobIndexed({ metadata, spec, status }: GenerationJob, value: string): boolean {
  if (value === indexKeys.open || value === indexKeys.uid(metadata.uid)) return true
  const { pool, podUID = '', outcome } = status?.attempt ?? {}
  const hasSlot = pool !== undefined && outcome === undefined
  if (hasSlot && [indexKeys.slotsOf(podUID), indexKeys.slotsIn(pool)].includes(value)) return true
  return value.startsWith('model/') && value === indexKeys.model(spec.modelRef.name)
}

function cachesOf(cluster: Cluster): Caches {
  return {
    generationJobs: listerOver(() => cluster.jobs, isJobIndexed),
    jobs: listerOver(() => cluster.kubeJobs, isChild),
    pods: listerOver(() => cluster.pods, isChild),
    models: listerOver(() => cluster.models),
    departments: listerOver(() => cluster.departments),
    nodes: listerOver(() => cluster.nodes),
    namespaces: listerOver(() => []),
    modelPools: listerOver(() => cluster.modelPools),
    deployments: listerOver(() => []),
    poolPods: listerOver(
      () => cluster.poolPods,
      ({ metadata }, value) =>
        value === indexKeys.uid(metadata.uid) ||
        value === indexKeys.pool(`${metadata.namespace ?? ''}/warm`),
    ),
  }
}

/** Caches over a cluster that a test may change. */
export function cachesOver(over: Partial<Cluster>) {
  const cluster: Cluster = {
    jobs: [],
    kubeJobs: [],
    pods: [],
    nodes: [aKubeNode()],
    departments: [],
    modelPools: [],
    poolPods: [],
    models: [aModel()],
    ...over,
  }
  return { cluster, caches: cachesOf(cluster) }
}

/** A board over a cluster that a test may change; whoever is woken or at fault is noted. */
export function boardOver(over: Partial<Cluster>) {
  const { cluster, caches } = cachesOver(over)
  const woken: string[] = []
  const errors: unknown[] = []
  const time = { nowMs: createdMs }
  const clock = { nowMs: () => time.nowMs }
  const holds = new HoldMemory()
  const pools = new PoolBoard({
    caches,
    clock,
    allowCpu: true,
    wake: () => undefined,
    onChange: () => board.touch(),
  })
  const board: AdmissionBoard = new AdmissionBoard({
    caches,
    holds,
    pools,
    allowCpu: true,
    quotaOf: (job) => quotaQueueOf(job, { isServed: true }),
    clock,
    wake: (key) => woken.push(key),
    onError: (error) => errors.push(error),
  })
  const demand = (): PoolDemand => pools.demandOf('vision/warm')
  return { board, pools, cluster, woken, errors, time, holds, demand }
}

export function aReservedJob(id: string, spec: Partial<GenerationJobSpec> = {}): GenerationJob {
  const status = { conditions: [aCondition('CreditsReserved', 'True/Reserved')] }
  const job = aJob({ spec, status })
  const own = `${uid.slice(0, -1)}${id}`
  return { ...job, metadata: { ...job.metadata, name: `job-${id}`, uid: own } }
}

/** Longer than the board waits for more changes. */
export async function planned(): Promise<void> {
  await new Promise((resolve) => {
    setTimeout(resolve, 50)
  })
}

export function aPool(spec: Partial<ModelPool['spec']> = {}, namespace = 'vision'): ModelPool {
  return {
    apiVersion: 'atelier.dev/v1alpha1',
    kind: 'ModelPool',
    metadata: {
      name: 'warm',
      namespace,
      uid: 'pool-uid',
      resourceVersion: '3',
      generation: 1,
      creationTimestamp: at(0),
    },
    spec: { ...modelPoolSpec.parse({ models: [{ name: 'demo' }] }), ...spec },
  }
}

/** A ready pod of that pool, made with the Model that the caches show. */
export function aPoolPod(name = 'pool-warm-5d-x', namespace = 'vision'): Pod {
  const owner = { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'pool-warm-5d', uid: 'rs' }
  return {
    metadata: {
      name,
      namespace,
      uid: `uid-of-${name}`,
      resourceVersion: '4',
      creationTimestamp: at(0),
      labels: { 'atelier.dev/pool': 'warm', 'pod-template-hash': '5d' },
      annotations: { 'atelier.dev/packs': packMarks(aPool(), { modelOf: () => aModel() }) },
      ownerReferences: [{ ...owner, controller: true }],
    },
    spec: { nodeName: 'node-1', containers: [{ name: 'inference' }] },
    status: {
      phase: 'Running',
      podIP: '127.9.9.9',
      conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: at(0) }],
    },
  }
}

export function aSlot(over: Partial<SlotState> = {}): SlotState {
  return { model: 'demo', state: 'Idle', job: null, ...over }
}

export function aPodState(slots: readonly SlotState[] = [aSlot()]): PoolPodState {
  return { runner: 'runner-1', draining: false, slots: [...slots] }
}
