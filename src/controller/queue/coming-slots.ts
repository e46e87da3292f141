import type { ComingSlot } from '../../shared/domain/admission/virtual-cluster.ts'
import type { Caches } from '../caches.ts'
import { OVERDUE_SHARE } from '../limits.ts'
import { isComing } from '../model-pool/growth.ts'
import type { PoolBoard, PoolPod } from '../model-pool/pool-board.ts'
import { keyOf } from '../../platform/kube/resources.ts'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import { modelsOfSlot } from '../../shared/wire/pool.ts'

export type ComingSlotSources = {
  readonly caches: Pick<Caches, 'modelPools' | 'models'>
  readonly pools: Pick<PoolBoard, 'podsOf' | 'measuredStartupSecondsOf'>
  readonly nowMs: number
}

/**
 * Slots of pods that are starting. Of a pool of which no pod has ever been ready nobody knows how
 * long that takes, so that its slots are not counted on.
 */
export function comingSlots({ caches, pools, nowMs }: ComingSlotSources): ComingSlot[] {
  return caches.modelPools.list().flatMap((pool) => {
    const key = keyOf(pool)
    const startupSeconds = pools.measuredStartupSecondsOf(key)
    if (startupSeconds === undefined) return []
    const models = slotModelsOf(pool, caches)
    return pools
      .podsOf(key)
      .filter(isComing)
      .flatMap((pod) => {
        const atMs = readyMs(pod, { startupSeconds, nowMs })
        return models.map((model) => ({ pool: key, pod: pod.uid, model, atMs }))
      })
  })
}

type StartUp = { readonly startupSeconds: number; readonly nowMs: number }

function readyMs({ createdMs }: PoolPod, { startupSeconds, nowMs }: StartUp): number {
  const spentMs = Math.max(0, nowMs - createdMs)
  return nowMs + Math.max(startupSeconds * 1000 - spentMs, spentMs * OVERDUE_SHARE)
}

/** One per slot. */
function slotModelsOf({ spec }: ModelPool, { models }: Pick<Caches, 'models'>): (string | null)[] {
  const names = spec.models.map(({ name }) => name)
  const bases = names.filter((name) => models.get(name)?.spec.type === 'Base')
  return Array.from({ length: spec.slots }, (_, slot) => modelsOfSlot(bases, slot)[0] ?? null)
}
