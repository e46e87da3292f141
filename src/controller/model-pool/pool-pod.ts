import type { Pod } from '../../platform/kube/resources.ts'
import type { Resources } from '../../shared/domain/admission/resources.ts'
import { annotations } from '../../shared/names.ts'
import { controllerOf, requestOfPod, waitingOf } from '../generation-job/views.ts'
import { perObject } from '../per-object.ts'
import { poolDeploymentName, poolNameOf } from './names.ts'

/** A pod of a pool as the cache shows it. */
export type PoolPodView = {
  readonly namespace: string
  readonly pool: string
  readonly name: string
  readonly uid: string
  readonly createdMs: number
  readonly ip?: string | undefined
  readonly nodeName?: string | undefined
  readonly ready: boolean
  /** From its creation until it took jobs; absent while it is not ready. */
  readonly startupSeconds?: number | undefined
  readonly deleting: boolean
  /** Every container has ended for good: it counts for nothing any more. */
  readonly terminal: boolean
  /** It was chosen to go when the pool shrinks next: its deletion cost is below all others. */
  readonly marked: boolean
  readonly request: Resources
  /** Of the Models that it was made with; absent: nobody has written them down. */
  readonly packs?: readonly string[] | undefined
  /** Why it does not run yet. */
  readonly waiting?: { readonly reason: string; readonly message: string } | undefined
}

/** A pod that is not ready, or about to end, gives no slot. */
export function isAskable({ ip, ready, deleting, terminal }: PoolPodView): boolean {
  return ip !== undefined && ready && !deleting && !terminal
}

/** Deletion cost of pods that are to go; of the others it is absent or 0. */
export const LEAVING_COST = '-1'
export const STAYING_COST = '0'

/** Undefined for a pod that has the label of a pool and was not made for its Deployment. */
export const viewPoolPod = perObject((pod: Pod): PoolPodView | undefined => {
  const { metadata, spec } = pod
  const { namespace, name, uid } = metadata
  const pool = poolNameOf(metadata)
  if (pool === undefined || namespace === undefined || !isOfDeployment(pod, pool)) return undefined
  return {
    namespace,
    pool,
    name,
    uid,
    createdMs: Date.parse(metadata.creationTimestamp),
    nodeName: spec?.nodeName,
    deleting: metadata.deletionTimestamp !== undefined,
    marked: Number(metadata.annotations?.[annotations.podDeletionCost] ?? STAYING_COST) < 0,
    request: requestOfPod(spec),
    packs: metadata.annotations?.[annotations.packs]?.split(' '),
    ...viewStatus(pod),
  }
})

function viewStatus(
  pod: Pod,
): Pick<PoolPodView, 'ip' | 'ready' | 'startupSeconds' | 'terminal' | 'waiting'> {
  const { podIP, phase } = pod.status ?? {}
  const startupSeconds = startupOf(pod)
  return {
    ip: podIP,
    ready: startupSeconds !== undefined,
    startupSeconds,
    terminal: phase === 'Succeeded' || phase === 'Failed',
    waiting: waitingOf(pod),
  }
}

/**
 * A ReplicaSet is named after its Deployment and the hash that its pods carry. ReplicaSets are not
 * watched: whoever may make pods with invented owners in a namespace may do anything to its pods.
 */
function isOfDeployment(pod: Pod, pool: string): boolean {
  const controller = controllerOf(pod)
  const hash = pod.metadata.labels?.['pod-template-hash']
  return (
    controller?.kind === 'ReplicaSet' &&
    controller.name === `${poolDeploymentName(pool)}-${hash ?? ''}`
  )
}

/** Of a pod that is ready; one that was not for a while in between gives too large a number. */
function startupOf({ metadata: { creationTimestamp }, status }: Pod): number | undefined {
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')
  if (ready?.status !== 'True') return undefined
  const { lastTransitionTime = creationTimestamp } = ready
  return Math.max(0, (Date.parse(lastTransitionTime) - Date.parse(creationTimestamp)) / 1000)
}
