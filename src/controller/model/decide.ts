import { unreachable } from '../../shared/assert.ts'
import { modelReasons } from '../../shared/crd/conditions.ts'
import type { Model, ModelSpec } from '../../shared/crd/model.ts'
import { mergeConditions } from '../conditions.ts'
import { packUrl } from '../pack-url.ts'
import type { PackSettings } from '../settings.ts'
import { mergePatchBetween } from '../status-patch.ts'

export type ModelReason = keyof typeof modelReasons.Ready

/** The status patch that a Model needs, or undefined when its status is right. */
export function decideModel(
  model: Model,
  { packs, nowMs }: { readonly packs: PackSettings; readonly nowMs: number },
): object | undefined {
  const reason = readinessOf(model.spec, packs)
  const { generation } = model.metadata
  const conditions = mergeConditions(
    model.status?.conditions,
    [
      {
        type: 'Ready',
        status: reason === 'Ready' ? 'True' : 'False',
        reason,
        message: modelReasons.Ready[reason],
      },
    ],
    { generation, nowMs },
  )
  const after = { ...model.status, observedGeneration: generation, conditions }
  return mergePatchBetween(model.status ?? {}, after)
}

/**
 * Claims, images and Secrets are looked for when a pod needs them: each namespace has its own, and
 * only a Node can say whether it may pull an image. What is fetched is checked by its digest.
 */
function readinessOf({ delivery, digest }: ModelSpec, packs: PackSettings): ModelReason {
  const { embedded, claim, image, fetch } = delivery
  switch (delivery.type) {
    case 'Embedded':
      return readyIf(embedded !== undefined)
    case 'Claim':
      return readyIf(claim !== undefined)
    case 'Image':
      return readyIf(image !== undefined)
    case 'Fetch':
      // A Model that was made before the schema asked for a digest may have none.
      if (fetch === undefined || digest === undefined) return 'InvalidDelivery'
      return packUrl(fetch.url, packs) === undefined ? 'DeliveryUnsupported' : 'Ready'
    default:
      return unreachable(delivery.type)
  }
}

function readyIf(isComplete: boolean): ModelReason {
  return isComplete ? 'Ready' : 'InvalidDelivery'
}
