import { keyOf } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import type {
  FreeSlot as AdmissionSlot,
  Occupant,
  PoolView,
} from '../../shared/domain/admission/input.ts'
import type { Resources } from '../../shared/domain/admission/resources.ts'
import { suitsFor } from '../../shared/domain/admission/slot-room.ts'
import { jobsNamespace } from '../../shared/names.ts'
import type { PoolPodState } from '../../shared/wire/pool.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { POOL_STARTUP_SECONDS_DEFAULT } from '../limits.ts'
import type { PoolKey } from './names.ts'
import { lackedModels } from './pack-marks.ts'
import { isAskable, type PoolPodView, viewPoolPod } from './pool-pod.ts'
import { baseModelsOf, podGpus, podRequest, type PoolFacts, poolFacts } from './pool-models.ts'
import { type PodAttempt, SlotReservations, type SlotRequest } from './slot-reservations.ts'
import { type FreeSlot, freeSlotsOf, type SlotJob, slotJobId, withoutJobs } from './slots.ts'
import { hasNoRoom, isComing, loadingOf, slotsToCome, surplusOf } from './growth.ts'
import { noDemand, type PoolDemand, wakeAfterMs } from './pool-demand.ts'

/** Everything known of one pod of a pool. */
export type PoolPod = PoolPodView & {
  readonly key: PoolKey
  /** It is to be given up and takes no job any more. */
  readonly leaving: boolean
  /** As it last said; undefined until it has been asked. */
  readonly state?: PoolPodState | undefined
  /** Attempts that have a slot of it. */
  readonly jobs: readonly SlotJob[]
  /** Since when it has had none; undefined while it has one. */
  readonly idleSinceMs?: number | undefined
}

/** A pool as admission sees it; `name` is its key. */
export type PoolBoardView = PoolView & {
  readonly namespace: string
  /** Base models and LoRAs. */
  readonly models: readonly string[]
  /** Slots that may still come. */
  readonly slotsToCome: number
  /** Undefined where Nodes are not seen to have what its pods ask for. */
  readonly podRequest: Resources | undefined
}

export type PoolBoardOptions = {
  readonly caches: Pick<Caches, 'modelPools' | 'poolPods' | 'generationJobs' | 'models' | 'nodes'>
  readonly allowCpu: boolean
  readonly clock: Clock
  /** Asks for a reconcile of the pool. */
  readonly wake: (key: PoolKey, afterMs: number) => void
  /** Slots may have become free, or may be so no longer. */
  readonly onChange: () => void
}

type PoolParts = { readonly facts: PoolFacts; readonly pods: readonly PoolPod[] }

/**
 * What the controller knows of pools beyond the API server: slots, who has them, which pods are
 * to go. Memory only, and the one place where slots are given away. After a restart the slots of
 * running attempts are known from the status of their jobs, and the rest from the pods themselves.
 */
export class PoolBoard {
  readonly #options: PoolBoardOptions
  readonly #states = new Map<string, PoolPodState>()
  readonly #reservations: SlotReservations
  readonly #leaving = new Map<PoolKey, ReadonlySet<string>>()
  readonly #idleSinceMs = new Map<string, number>()
  readonly #startupSeconds = new Map<PoolKey, number>()
  #demand: ReadonlyMap<PoolKey, PoolDemand> = new Map()

  constructor(options: PoolBoardOptions) {
    this.#options = options
    this.#reservations = new SlotReservations(options)
  }

  /** Every pool that is not being deleted, with those of `pods()` that are its own. */
  views(pods: readonly PoolPod[] = this.pods()): PoolBoardView[] {
    const facts = poolFacts(this.#options)
    const podsByPool = Map.groupBy(pods, ({ key }) => key)
    return this.#options.caches.modelPools
      .list()
      .filter(({ metadata }) => metadata.deletionTimestamp === undefined)
      .map((pool) => this.#view(pool, { facts, pods: podsByPool.get(keyOf(pool)) ?? [] }))
  }

  /** Of all pools, also those that are going and those of which the pool has gone. */
  pods(): PoolPod[] {
    return this.#options.caches.poolPods.list().flatMap((pod) => this.#podOf(viewPoolPod(pod)))
  }

  podsOf(key: PoolKey): PoolPod[] {
    const pods = this.#options.caches.poolPods.listIndexed(indexKeys.pool(key))
    return pods.flatMap((pod) => this.#podOf(viewPoolPod(pod)))
  }

  podOf(uid: string): PoolPod | undefined {
    const [pod] = this.#options.caches.poolPods.listIndexed(indexKeys.uid(uid))
    return pod === undefined ? undefined : this.#podOf(viewPoolPod(pod))[0]
  }

  /**
   * The pods of all pools that take room on Nodes, or are about to. One for which the scheduler has
   * found none waits like anybody else: what it could not have is not kept for it.
   */
  occupants(pods: readonly PoolPod[] = this.pods()): Occupant[] {
    return pods
      .filter((pod) => !pod.terminal && !hasNoRoom(pod))
      .map((pod) => {
        const { uid, nodeName, request, key: pool, deleting, leaving } = pod
        const lacks = this.#lackedBy(pod)
        return { uid, nodeName, request, pool, going: deleting || leaving, lacks }
      })
  }

  /**
   * Gives a slot of this pod to the attempt. False when the pod has none to give: it is gone, not
   * ready, to be given up, or full. To be called in the turn in which the place was chosen.
   */
  assign(request: SlotRequest): boolean {
    const pod = this.podOf(request.pod)
    if (pod === undefined) return false
    const hasIt = pod.jobs.some((job) => slotJobId(job) === slotJobId(request))
    const isSuited = suitsFor(request)({ lacks: this.#lackedBy(pod) })
    const canTake = isSuited && this.#freeSlots(pod).length > 0
    if (!hasIt && !canTake) return false
    this.#reservations.reserve(request)
    this.#idleSinceMs.delete(pod.uid)
    return true
  }

  /** The attempt has no slot of this pod any more, or never got it. May be said late, and twice. */
  release(attempt: PodAttempt): void {
    this.#reservations.release(attempt)
    this.#noteIdle(attempt.pod)
    this.#options.onChange()
  }

  /** What the pod has just said; undefined when it cannot be asked any more. */
  noteState(podUid: string, state: PoolPodState | undefined): void {
    const before = this.#states.get(podUid)
    if (state === undefined) {
      this.#states.delete(podUid)
      // One that is only silent goes on being idle, and may be given up for that.
      const pod = this.podOf(podUid)
      if (pod === undefined || !isAskable(pod)) this.#idleSinceMs.delete(podUid)
    } else {
      this.#states.set(podUid, state)
      this.#noteIdle(podUid)
    }
    if (JSON.stringify(before) !== JSON.stringify(state)) this.#options.onChange()
  }

  /** What waits for each pool, all at once: a pool that is not named has nothing waiting. */
  setDemand(demand: ReadonlyMap<PoolKey, PoolDemand>): void {
    const before = this.#demand
    this.#demand = demand
    for (const key of new Set([...before.keys(), ...demand.keys()])) {
      const afterMs = wakeAfterMs(before.get(key) ?? noDemand, this.demandOf(key))
      if (afterMs !== undefined) this.#options.wake(key, afterMs)
    }
  }

  demandOf(key: PoolKey): PoolDemand {
    return this.#demand.get(key) ?? noDemand
  }

  /**
   * From the creation of a pod until it takes jobs: the shortest that is to be seen, because pods
   * that were not ready for a while in between seem to have taken longer.
   */
  startupSecondsOf(key: PoolKey): number {
    return this.measuredStartupSecondsOf(key) ?? POOL_STARTUP_SECONDS_DEFAULT
  }

  /** Undefined until a pod of the pool has taken jobs. */
  measuredStartupSecondsOf(key: PoolKey): number | undefined {
    const seen = this.podsOf(key).flatMap(({ startupSeconds }) => startupSeconds ?? [])
    if (seen.length > 0) this.#startupSeconds.set(key, Math.min(...seen))
    return this.#startupSeconds.get(key)
  }

  /** From now on these pods get no job; all others of the pool do again. */
  setLeaving(key: PoolKey, podUids: readonly string[]): void {
    if (podUids.length === 0) this.#leaving.delete(key)
    else this.#leaving.set(key, new Set(podUids))
  }

  /** The pool is gone. */
  forget(key: PoolKey): void {
    this.#leaving.delete(key)
    this.#startupSeconds.delete(key)
  }

  #view(pool: ModelPool, { facts, pods }: PoolParts): PoolBoardView {
    const name = keyOf(pool)
    const present = pods.filter(({ deleting, terminal }) => !deleting && !terminal)
    const bases = baseModelsOf(pool, facts)
    const lacks = new Map(present.map((pod) => [pod, this.#lackedBy(pod)]))
    // Those that are to be replaced count as if they were gone, but for what they can do.
    const current = present.filter((pod) => lacks.get(pod)?.length === 0)
    const toCome = slotsToCome(pool, current)
    return {
      name,
      namespace: pool.metadata.namespace ?? '',
      models: pool.spec.models.map((model) => model.name),
      gpusPerSlot: podGpus(pool, facts) / pool.spec.slots,
      slots: present.flatMap((pod) => this.#viewSlots(pod, lacks.get(pod))),
      loading: current.flatMap((pod) => loadingOf(pod, { pool, bases })),
      slotsToCome: toCome,
      growable: toCome > 0,
      growing: current.some(isComing),
      serving: present.length > 0 || toCome > 0,
      surplus: surplusOf(pool, present),
      podRequest: podRequest(pool, facts),
    }
  }

  #podOf(view: PoolPodView | undefined): PoolPod[] {
    if (view === undefined) return []
    const { uid, marked } = view
    const key = `${view.namespace}/${view.pool}`
    const state = this.#states.get(uid)
    const jobs = this.#jobsOn(view)
    const leaving = marked || (this.#leaving.get(key)?.has(uid) ?? false)
    return [{ ...view, key, leaving, state, jobs, idleSinceMs: this.#idleSince(view, jobs) }]
  }

  /** By the status of the jobs, by what was given away just now, and by what the pod says. */
  #jobsOn(pod: PoolPodView): readonly SlotJob[] {
    const { uid } = pod
    const cached = this.#options.caches.generationJobs
      .listIndexed(indexKeys.slotsOf(uid))
      .map(viewSlotJob)
    const all = [...this.#saidBy(pod), ...cached, ...this.#reservations.on(uid)]
    const open = all.filter((job) => !this.#reservations.isReleased({ ...job, pod: uid }))
    return [...new Map(open.map((job) => [slotJobId(job), job])).values()]
  }

  /** Who may make pods in one namespace has no say about the jobs of others. */
  #saidBy({ uid, namespace, pool }: PoolPodView): SlotJob[] {
    const { generationJobs, modelPools } = this.#options.caches
    if (modelPools.get(`${namespace}/${pool}`) === undefined) return []
    return (this.#states.get(uid)?.slots ?? []).flatMap(({ job, model }) => {
      if (job === null) return []
      const [known] = generationJobs.listIndexed(indexKeys.uid(job.uid))
      const place = known?.metadata.namespace ?? namespace
      const isNear = namespace === jobsNamespace || namespace === place
      return isNear ? [{ ...job, model: model ?? '' }] : []
    })
  }

  #viewSlots(pod: PoolPod, lacked: readonly string[] = []): AdmissionSlot[] {
    const lacks = lacked.length === 0 ? undefined : lacked
    return this.#freeSlots(pod).map(({ model }) => ({ pod: pod.uid, model, lacks }))
  }

  #freeSlots(pod: PoolPod): readonly FreeSlot[] {
    const { state, leaving, jobs } = pod
    if (leaving || !isAskable(pod) || state === undefined || state.draining) return []
    const slots = withoutJobs(state.slots, (job) => {
      return this.#reservations.isReleased({ ...job, pod: pod.uid })
    })
    return freeSlotsOf(slots, jobs)
  }

  /** What the pool has been given since the pod was made: a new pod is to take its place. */
  #lackedBy({ key, packs }: PoolPod): readonly string[] {
    const { modelPools, models } = this.#options.caches
    const pool = modelPools.get(key)
    const modelOf = (name: string) => models.get(name)
    return pool === undefined || packs === undefined ? [] : lackedModels(packs, pool, { modelOf })
  }

  /** Pods that were idle before this process began to look are so since it does. */
  #idleSince(pod: PoolPodView, jobs: readonly SlotJob[]): number | undefined {
    const { uid } = pod
    if (jobs.length > 0) {
      this.#idleSinceMs.delete(uid)
      return undefined
    }
    const sinceMs = this.#idleSinceMs.get(uid) ?? this.#options.clock.nowMs()
    // Only of those that are asked it is noticed when they are gone.
    if (isAskable(pod)) this.#idleSinceMs.set(uid, sinceMs)
    return sinceMs
  }

  /** A pod that has just become idle is looked at when it may be given up. */
  #noteIdle(podUid: string): void {
    const pod = this.podOf(podUid)
    if (pod?.idleSinceMs === undefined) return
    const pool = this.#options.caches.modelPools.get(pod.key)
    if (pool === undefined) return
    this.#options.wake(pod.key, pod.leaving ? 0 : pool.spec.idleSeconds * 1000)
  }
}

function viewSlotJob({ metadata, spec, status }: GenerationJob): SlotJob {
  const attempt = status?.attempt?.number ?? 0
  return { uid: metadata.uid, attempt, model: spec.modelRef.name }
}
