import type { ModelPool } from '../../shared/crd/model-pool.ts'
import type { Model } from '../../shared/crd/model.ts'
import {
  addResources,
  noResources,
  type Resources,
  resourcesOf,
} from '../../shared/domain/admission/resources.ts'
import type { Caches } from '../caches.ts'
import { gpusOfNode } from '../node-gpus.ts'

/** What the shape of a pool's pods depends on beside the pool. */
export type PoolFacts = {
  readonly modelOf: (name: string) => Model | undefined
  /** Models that may do so run without GPUs: the cluster has none, and that is permitted. */
  readonly onCpu: boolean
}

type FactSources = {
  readonly caches: Pick<Caches, 'models' | 'nodes'>
  readonly allowCpu: boolean
}

export function poolFacts({ caches, allowCpu }: FactSources): PoolFacts {
  const hasGpus = () => caches.nodes.list().some((node) => gpusOfNode(node) > 0)
  return { modelOf: (name) => caches.models.get(name), onCpu: allowCpu && !hasGpus() }
}

export type NamedModel = { readonly name: string; readonly model: Model }

export function baseModelsOf(pool: ModelPool, facts: PoolFacts): NamedModel[] {
  return modelsOf(pool, facts).filter(({ model }) => model.spec.type === 'Base')
}

export function lorasOf(pool: ModelPool, facts: PoolFacts): NamedModel[] {
  return modelsOf(pool, facts).filter(({ model }) => model.spec.type === 'Lora')
}

/** Those that exist, in the order of the spec. */
function modelsOf({ spec }: ModelPool, { modelOf }: PoolFacts): NamedModel[] {
  return spec.models.flatMap(({ name }) => {
    const model = modelOf(name)
    return model === undefined ? [] : [{ name, model }]
  })
}

/** GPUs of one pod. Slices and claims are no whole GPUs of Nodes: who asks for them knows of some. */
export function podGpus(pool: ModelPool, facts: PoolFacts): number {
  const isOnCpu = facts.onCpu && usesWholeGpus(pool)
  const canUseCpu = baseModelsOf(pool, facts).every(({ model }) =>
    model.spec.runsOn.includes('Cpu'),
  )
  return isOnCpu && canUseCpu ? 0 : pool.spec.gpu.count
}

/** What one pod asks for; undefined with slices and claims, which no Node is seen to have. */
export function podRequest(pool: ModelPool, facts: PoolFacts): Resources | undefined {
  const gpus = podGpus(pool, facts)
  return gpus === 0 || usesWholeGpus(pool) ? { ...podAmounts(pool, facts), gpus } : undefined
}

function usesWholeGpus({ spec: { gpu } }: ModelPool): boolean {
  return gpu.api !== 'DRA' && gpu.sharing !== 'Mig'
}

/**
 * Processors and memory of one pod: for each slot the most that a base model asks for, because it
 * holds one at a time, and every LoRA's share, because a job may use them all.
 */
export function podAmounts(pool: ModelPool, facts: PoolFacts): Resources {
  const bases = baseModelsOf(pool, facts).map(amountsOf)
  const largest: Resources = {
    gpus: 0,
    cpuMillis: Math.max(0, ...bases.map(({ cpuMillis }) => cpuMillis)),
    memoryBytes: Math.max(0, ...bases.map(({ memoryBytes }) => memoryBytes)),
  }
  const perSlot = lorasOf(pool, facts).map(amountsOf).reduce(addResources, largest)
  return Array.from({ length: pool.spec.slots }, () => perSlot).reduce(addResources, noResources)
}

function amountsOf({ model }: NamedModel): Resources {
  const { cpu, memory } = model.spec.resources
  return resourcesOf({ cpu, memory })
}
