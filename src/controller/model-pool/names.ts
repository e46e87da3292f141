import type { KubeObject, ObjectMetadata } from '../../platform/kube/types.ts'
import { labels } from '../../shared/names.ts'

/** A namespaced name as text, such as `atelier-jobs/demo`: how pools are told apart. */
export type PoolKey = string

export function poolDeploymentName(pool: string): string {
  return `pool-${pool}`
}

/** Pools that a Deployment or pod may belong to by its label; its owner is checked elsewhere. */
export function poolKeysOf({ metadata }: KubeObject): PoolKey[] {
  const pool = poolNameOf(metadata)
  return pool === undefined ? [] : [`${metadata.namespace ?? ''}/${pool}`]
}

export function poolNameOf({ labels: found }: ObjectMetadata): string | undefined {
  return found?.[labels.pool]
}
