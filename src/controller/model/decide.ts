import { unreachable } from '../../shared/assert.ts'
import { modelReasons } from '../../shared/crd/conditions.ts'
import type { Delivery, Model } from '../../shared/crd/model.ts'
import { mergeConditions } from '../conditions.ts'
import { mergePatchBetween } from '../status-patch.ts'

export type ModelReason = keyof typeof modelReasons.Ready

/** The status patch that a Model needs, or undefined when its status is right. */
export function decideModel(model: Model, nowMs: number): object | undefined {
  const reason = readinessOf(model.spec.delivery)
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

/** A claim is looked for when a pod needs it, because each namespace has its own. */
function readinessOf(delivery: Delivery): ModelReason {
  switch (delivery.type) {
    case 'Embedded':
      return delivery.embedded === undefined ? 'InvalidDelivery' : 'Ready'
    case 'Claim':
      return delivery.claim === undefined ? 'InvalidDelivery' : 'Ready'
    case 'Image':
    case 'Fetch':
      return 'DeliveryUnsupported'
    default:
      return unreachable(delivery.type)
  }
}
