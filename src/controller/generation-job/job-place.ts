import { type AdmissionNode, fitsSomeNode } from '../../shared/domain/admission/nodes.ts'
import type { Candidate } from '../../shared/domain/admission/queue.ts'
import type { PoolPod } from '../model-pool/pool-board.ts'
import type { JobPlace } from './observed.ts'

export const waiting: JobPlace = { kind: 'Queued', cause: 'Turn' }

/** What the slot has in memory, and what the job needs there. */
type SlotModels = { readonly slotModel: string | null; readonly model: string }

/** A free slot of the pod as a decision needs it; undefined when the pod cannot be asked now. */
export function slotPlaceIn(
  found: PoolPod | undefined,
  { slotModel, model }: SlotModels,
): JobPlace | undefined {
  const { ip, state } = found ?? {}
  if (found === undefined || ip === undefined || state === undefined) return undefined
  const { namespace, pool, name: podName, uid: podUID, nodeName } = found
  const pod = { namespace, pool, ip }
  const instead = slotModel === null || slotModel === model ? undefined : slotModel
  return { kind: 'Slot', slot: { pod, podName, podUID, nodeName, runner: state.runner, instead } }
}

/** Why nothing there is could ever run it. Whether a quota of Kueue could is not known here. */
export function hopelessnessOf(
  { execution, pools, request }: Candidate,
  nodes: readonly AdmissionNode[],
): 'TooLarge' | 'NoPool' | undefined {
  if (pools.length > 0 || execution === 'Quota') return undefined
  if (execution === 'Pooled') return 'NoPool'
  return fitsSomeNode(request, nodes) ? undefined : 'TooLarge'
}
