import type { ModelPool } from '../../shared/crd/model-pool.ts'
import { annotations } from '../../shared/names.ts'
import { findCondition } from '../conditions.ts'
import type { PoolPodView } from './pool-pod.ts'

/** The annotation that asks for no pod at all, whatever the spec says. */
export function isStopped({ metadata }: ModelPool): boolean {
  return metadata.annotations?.[annotations.stop] === 'true'
}

/** Reasons of Ready with which no pod will come. */
const hopeless: readonly string[] = [
  'Stopped',
  'ModelNotFound',
  'ModelNotReady',
  'DeliveryUnsupported',
  'NotVisible',
  'NoBaseModel',
  'NoMatchingGpu',
  'NameTaken',
]

/**
 * Whether slots may still come: pods that are not ready yet, or such as may be added. `pods` are
 * those that are neither ending nor ended.
 */
export function mayGrow(pool: ModelPool, pods: readonly PoolPodView[]): boolean {
  const reason = findCondition(pool.status?.conditions, 'Ready')?.reason ?? ''
  if (isStopped(pool) || hopeless.includes(reason)) return false
  // Another pod would wait for room as this one does.
  if (pods.some(({ waiting }) => waiting?.reason === 'Unschedulable')) return false
  const { replicas, maxReplicas } = pool.spec
  return pods.filter(({ ready }) => ready).length < (replicas ?? maxReplicas)
}
