import type { ModelPool } from '../../shared/crd/model-pool.ts'
import { annotations } from '../../shared/names.ts'
import { modelsOfSlot, type PoolPodState } from '../../shared/wire/pool.ts'
import { findCondition } from '../conditions.ts'
import type { PoolPodView } from './pool-pod.ts'

export type StartingPod = PoolPodView & {
  readonly leaving: boolean
  readonly state?: PoolPodState | undefined
}

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
  'Invalid',
]

/**
 * How many slots may still come: of pods that are not ready yet, and of such as may be added.
 * `pods` are those that are neither ending nor ended.
 */
export function slotsToCome(pool: ModelPool, pods: readonly PoolPodView[]): number {
  const reason = findCondition(pool.status?.conditions, 'Ready')?.reason ?? ''
  if (isStopped(pool) || hopeless.includes(reason)) return 0
  // Another pod would wait for room as this one does.
  if (pods.some(hasNoRoom)) return 0
  const { replicas, maxReplicas, slots } = pool.spec
  const there = pods.filter(({ ready }) => ready).length
  return Math.max(0, (replicas ?? maxReplicas) - there) * slots
}

/** How many pods may go for jobs that need their Nodes: nobody has said that they are to stay. */
export function surplusOf({ spec }: ModelPool, pods: readonly StartingPod[]): number {
  if (spec.replicas !== undefined) return 0
  const placed = pods.filter((pod) => !pod.leaving && !hasNoRoom(pod)).length
  return Math.max(0, placed - spec.minReplicas)
}

/** Whether the pod will take jobs: one without room waits for what no start-up time covers. */
export function isComing(pod: StartingPod): boolean {
  const isEnding = pod.deleting || pod.terminal || pod.leaving
  return !pod.ready && !isEnding && !hasNoRoom(pod)
}

/** The scheduler has found no Node for it. */
export function hasNoRoom({ nodeName, waiting }: PoolPodView): boolean {
  return nodeName === undefined && waiting?.reason === 'Unschedulable'
}

type Preloading = { readonly pool: ModelPool; readonly bases: readonly { readonly name: string }[] }

/** Models that slots are loading: in a pod that starts each slot the first that it would have. */
export function loadingOf(pod: StartingPod, { pool, bases }: Preloading): string[] {
  const { ready, state } = pod
  if (ready) {
    const loading = (state?.slots ?? []).filter((slot) => slot.state === 'Loading')
    return loading.flatMap(({ model }) => model ?? [])
  }
  if (!isComing(pod)) return []
  const slots = Array.from({ length: pool.spec.slots }, (_, slot) => modelsOfSlot(bases, slot))
  return slots.flatMap(([first]) => first?.name ?? [])
}
