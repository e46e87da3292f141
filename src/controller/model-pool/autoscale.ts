import type { ModelPoolSpec } from '../../shared/crd/model-pool.ts'
import { JOB_SECONDS_DEFAULT, POOL_STEP_PODS, POOL_WAIT_SECONDS_MIN } from '../limits.ts'
import { hasYielding, type PoolDemand } from './pool-demand.ts'

/** A pod that is neither ending nor ended. */
export type ScalingPod = {
  readonly uid: string
  readonly ready: boolean
  readonly createdMs: number
  readonly busySlots: number
  /** Since when no slot of it has been busy; undefined while one is. */
  readonly idleSinceMs?: number | undefined
  /** It was chosen to go before. */
  readonly leaving: boolean
  /** The scheduler has found no Node for it. */
  readonly hasNoRoom: boolean
}

export type ScalingInput = {
  readonly spec: Pick<
    ModelPoolSpec,
    'minReplicas' | 'maxReplicas' | 'replicas' | 'idleSeconds' | 'slots'
  >
  readonly stopped: boolean
  /** Pods that the Deployment is to have at the moment. */
  readonly current: number
  /** Pods cannot be made, because of a quota or a policy. */
  readonly blocked: boolean
  readonly pods: readonly ScalingPod[]
  readonly demand: PoolDemand & {
    /** From the creation of a pod until it takes jobs. */
    readonly startupSeconds: number
  }
  readonly nowMs: number
}

export type Scaling = {
  readonly replicas: number
  /** uids of the pods that are to go; they get no more jobs. */
  readonly leaving: readonly string[]
  /** When a pod may have been idle for long enough; absent: nothing is to be waited for. */
  readonly recheckAfterMs?: number | undefined
}

/**
 * How many pods a pool is to have, and which of them go. Somebody's own number counts at once, and
 * pods that go for that reason finish their jobs first. Otherwise pods come as the waiting jobs
 * need them, and only pods that have had nothing to do for `idleSeconds` go, or such as stand in
 * the way of a job that needs a Node: these take no more jobs, and go when they have none.
 */
export function autoscale(input: ScalingInput): Scaling {
  const fixed = fixedReplicas(input)
  if (fixed !== undefined) return resize(input, fixed)
  const yielding = yieldingOf(input)
  const most = mostPods(input, yielding)
  if (most < input.current) return makeWay(input, { yielding, most })
  const wanted = Math.min(grown(input), most)
  const scaling = wanted > input.current ? resize(input, wanted) : shrink(input)
  return { ...scaling, leaving: [...new Set([...scaling.leaving, ...uidsOf(yielding)])] }
}

/** A pool that has more pods than it may have shrinks as if somebody had said so. */
function fixedReplicas({ spec, stopped, current }: ScalingInput): number | undefined {
  if (stopped) return 0
  if (spec.replicas !== undefined) return spec.replicas
  return current > spec.maxReplicas ? spec.maxReplicas : undefined
}

function resize(input: ScalingInput, replicas: number): Scaling {
  const { pods, current } = input
  if (replicas >= current) return { replicas, leaving: unfinished(input) }
  const leaving = pods.toSorted(byLoss).slice(0, Math.max(0, pods.length - replicas))
  return { replicas, leaving: uidsOf(leaving) }
}

/** Those that were chosen before first; never more than `minReplicas` lets go. */
function yieldingOf({ spec, pods, demand }: ScalingInput): ScalingPod[] {
  const placed = pods.filter(({ hasNoRoom }) => !hasNoRoom)
  const named = placed.filter(({ uid }) => demand.yielding?.includes(uid))
  return named.toSorted(byLoss).slice(0, Math.max(0, placed.length - spec.minReplicas))
}

/**
 * No more pods than there is room for beside what jobs are to have; where one waits for a Node, a
 * pod that waits for room would be the first to have it. None comes elsewhere while some of the
 * pool are to go, or are about to end: it might come back there.
 */
function mostPods({ spec, pods, demand }: ScalingInput, yielding: readonly ScalingPod[]): number {
  const { room, mayWait = true } = demand
  if (room === undefined) return Infinity
  const done = yielding.filter(({ busySlots }) => busySlots === 0).length
  const placed = pods.filter(({ hasNoRoom }) => !hasNoRoom).length
  const waiting = mayWait ? pods.length - placed : 0
  const more = hasYielding(demand) ? 0 : room
  return Math.max(spec.minReplicas, placed - done + Math.max(waiting, more))
}

type Yield = { readonly yielding: readonly ScalingPod[]; readonly most: number }

/**
 * Kubernetes ends pods without a Node first and then those that are not ready: so nothing else goes
 * while such a pod has jobs, or has not had the time to become ready.
 */
function makeWay(input: ScalingInput, { yielding, most }: Yield): Scaling {
  const { pods, current, nowMs } = input
  const unplaced = pods.filter(({ hasNoRoom }) => hasNoRoom)
  const freeMs = pods
    .filter((pod) => !pod.ready && !pod.hasNoRoom && !yielding.includes(pod))
    .map((pod) => freeFromMs(input, pod))
  const isHeldUp = freeMs.some((ms) => ms > nowMs)
  return {
    replicas: isHeldUp ? Math.max(most, current - unplaced.length) : most,
    leaving: uidsOf([...unplaced, ...yielding]),
    recheckAfterMs: nextMs(freeMs, nowMs),
  }
}

/** Of the pods that are to go, those that Kubernetes is to end now: they lose least. */
export function endingOf({ leaving, replicas }: Scaling, podCount: number): readonly string[] {
  return leaving.slice(0, Math.max(0, podCount - replicas))
}

function uidsOf(pods: readonly ScalingPod[]): string[] {
  return pods.map(({ uid }) => uid)
}

/** What Kubernetes has still to end of an earlier step. */
function unfinished({ pods, current }: ScalingInput): string[] {
  if (pods.length <= current) return []
  return uidsOf(pods.filter(({ leaving }) => leaving))
}

/** What goes first loses least. Kubernetes ends pods that are not ready before all others. */
function byLoss(left: ScalingPod, right: ScalingPod): number {
  if (left.ready !== right.ready) return left.ready ? 1 : -1
  if (left.busySlots !== right.busySlots) return left.busySlots - right.busySlots
  return byIdleTime(left, right)
}

function byIdleTime(left: ScalingPod, right: ScalingPod): number {
  if (left.leaving !== right.leaving) return left.leaving ? -1 : 1
  const leftMs = left.idleSinceMs ?? Infinity
  const rightMs = right.idleSinceMs ?? Infinity
  if (leftMs !== rightMs) return leftMs - rightMs
  return left.uid < right.uid ? -1 : 1
}

/**
 * Pods that the waiting jobs need. With s slots, n jobs of d seconds each wait about n·d/s seconds
 * for the last to begin. There is no use in making that shorter than the start of a pod takes: by
 * then the slots that are there have done the work. There is none either for more slots than jobs.
 *
 * One step at most doubles the pods that take jobs, or adds four, as Kubernetes' own autoscaler
 * does in 15 s: what is still starting is not the ground for the next step.
 */
function grown({ spec, demand, pods }: ScalingInput): number {
  const { waitingJobs, startupSeconds } = demand
  const expectedSeconds = demand.expectedSeconds > 0 ? demand.expectedSeconds : JOB_SECONDS_DEFAULT
  if (waitingJobs === 0) return spec.minReplicas
  const targetSeconds = Math.max(startupSeconds, POOL_WAIT_SECONDS_MIN)
  const busySlots = pods.reduce((sum, pod) => sum + pod.busySlots, 0)
  const forWait = Math.max(1, Math.ceil((waitingJobs * expectedSeconds) / targetSeconds))
  const neededPods = Math.ceil(Math.min(forWait, busySlots + waitingJobs) / spec.slots)
  const settled = pods.filter(({ ready }) => ready).length
  const step = Math.max(settled * 2, settled + POOL_STEP_PODS)
  return Math.max(spec.minReplicas, Math.min(neededPods, step, spec.maxReplicas))
}

/**
 * Gives up pods that nobody needs. Kubernetes ends pods that are not ready first, whatever their
 * cost: so nothing goes while such a pod has jobs, or has not had the time to become ready.
 */
function shrink(input: ScalingInput): Scaling {
  const { spec, current, pods, demand } = input
  const stay = { replicas: current, leaving: unfinished(input) }
  const surplus = current - spec.minReplicas
  if (demand.waitingJobs > 0 || surplus <= 0 || pods.length > current) return stay
  const missing = current - pods.length
  if (missing > 0 && !input.blocked) return stay
  const freeMs = pods.map((pod) => freeFromMs(input, pod))
  const free = pods.filter((_, index) => (freeMs[index] ?? Infinity) <= input.nowMs)
  const isHeldUp = pods.some((pod) => !pod.ready && !free.includes(pod))
  const chosen = isHeldUp ? [] : free.toSorted(byLoss).slice(0, Math.max(0, surplus - missing))
  const replicas = current - Math.min(missing, surplus) - chosen.length
  return { replicas, leaving: uidsOf(chosen), recheckAfterMs: nextMs(freeMs, input.nowMs) }
}

/** When the pod may go; a pod that has never been ready has been of no use since it was made. */
function freeFromMs({ spec }: ScalingInput, pod: ScalingPod): number {
  const { ready, createdMs, busySlots, idleSinceMs } = pod
  if (busySlots > 0) return Infinity
  const sinceMs = ready ? (idleSinceMs ?? Infinity) : createdMs
  return sinceMs + spec.idleSeconds * 1000
}

function nextMs(freeMs: readonly number[], nowMs: number): number | undefined {
  const next = Math.min(...freeMs.filter((ms) => ms > nowMs))
  return next === Infinity ? undefined : next - nowMs
}
