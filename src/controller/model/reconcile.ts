import type { KubeClient } from '../../platform/kube/client.ts'
import type { Lister } from '../../platform/kube/list-watch.ts'
import { patchStatus } from '../../platform/kube/objects.ts'
import { models } from '../../platform/kube/resources.ts'
import type { Outcome } from '../../platform/kube/work-queue.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Model } from '../../shared/crd/model.ts'
import type { ControllerSettings } from '../settings.ts'
import { decideModel } from './decide.ts'

export type ModelParts = {
  readonly client: KubeClient
  readonly caches: { readonly models: Lister<Model> }
  readonly settings: Pick<ControllerSettings, 'packs'>
  readonly clock: Clock
}

/** Writes whether jobs may use the Model. */
export async function reconcileModel(parts: ModelParts, name: string): Promise<Outcome> {
  const model = parts.caches.models.get(name)
  if (model === undefined || model.metadata.deletionTimestamp !== undefined) return { kind: 'Done' }
  const { packs } = parts.settings
  const status = decideModel(model, { packs, nowMs: parts.clock.nowMs() })
  if (status !== undefined) await patchStatus(parts.client, models, { object: model, status })
  return { kind: 'Done' }
}
