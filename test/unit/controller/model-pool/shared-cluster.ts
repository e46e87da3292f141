import { autoscale, endingOf } from '../../../../src/controller/model-pool/autoscale.ts'
import { noDemand, type PoolDemand } from '../../../../src/controller/model-pool/pool-demand.ts'
import { demandOf } from '../../../../src/controller/generation-job/pool-demand.ts'
import { admit } from '../../../../src/shared/domain/admission/admit.ts'
import type {
  AdmissionInput,
  Occupant,
  PoolView,
  RunningJob,
  Turns,
} from '../../../../src/shared/domain/admission/input.ts'
import type { Candidate } from '../../../../src/shared/domain/admission/queue.ts'
import { anInput, aNode, aRequest, nowMs as beginMs } from '../../admission/builders.ts'

export type ClusterPlan = {
  /** GPUs of each Node. */
  readonly nodes: readonly number[]
  readonly podGpus: number
  readonly slots: number
  readonly minReplicas: number
  readonly maxReplicas: number
  /** The scheduler binds pods of pools before those of jobs. */
  readonly poolsFirst: boolean
  /** From its binding until a pod takes jobs, and from its deletion until it has gone. */
  readonly startupMs: number
  readonly endingMs: number
  /** GPUs of each Node that something has which the controller knows nothing of. */
  readonly foreign?: readonly number[]
  readonly arrivals: readonly {
    readonly atMs: number
    readonly job: Candidate
    readonly runMs: number
  }[]
}

type PoolPod = {
  readonly uid: string
  nodeName?: string
  unschedulable: boolean
  readyMs: number
  readonly createdMs: number
  leaving: boolean
  /** By its deletion cost. */
  marked: boolean
  /** Infinity until it is deleted. */
  goneMs: number
  idleSinceMs: number
  jobs: RunningJob[]
}
type JobPod = { readonly job: RunningJob; nodeName?: string; endMs: number }

/** As the field of the same name; nobody waits for half an hour here. */
export const patienceMs = 10_000
const idleSeconds = 5
const stepMs = 500

/**
 * One pool, Nodes, and as much of Kubernetes as a pool meets: a ReplicaSet that ends pods without a
 * Node first and those of the lowest deletion cost next, and a scheduler. In each step the plan
 * and the pool decide on what the last step left; nothing of what they said is kept by this model
 * but what Kubernetes would keep.
 */
export class SharedCluster {
  readonly started = new Map<string, number>()
  readonly violations: string[] = []
  pods: PoolPod[] = []
  replicas = 0
  /** Pods that were ended so far. */
  ended = 0
  nowMs = beginMs
  readonly #plan: ClusterPlan
  readonly #jobPods: JobPod[] = []
  readonly #arrivals: ClusterPlan['arrivals'][number][]
  readonly #waiting: Candidate[] = []
  readonly #endMs = new Map<string, number>()
  #turns: Turns = new Map()
  #demand: PoolDemand = noDemand
  #made = 0

  constructor(plan: ClusterPlan) {
    this.#plan = plan
    this.#arrivals = plan.arrivals.toSorted((left, right) => left.atMs - right.atMs)
  }

  /** Until every job has started, or until then. */
  runUntil(endMs: number): this {
    const count = this.#plan.arrivals.length
    while (this.nowMs < endMs && this.started.size < count) this.#step()
    return this
  }

  get freeOf(): ReadonlyMap<string, number> {
    const { foreign = [], nodes } = this.#plan
    const free = new Map(
      nodes.map((gpus, index) => [`node-${index}`, gpus - (foreign[index] ?? 0)]),
    )
    const take = (nodeName: string | undefined, gpus: number) => {
      if (nodeName !== undefined) free.set(nodeName, (free.get(nodeName) ?? 0) - gpus)
    }
    for (const { nodeName } of this.pods) take(nodeName, this.#plan.podGpus)
    for (const { nodeName, job } of this.#jobPods) take(nodeName, job.gpus)
    return free
  }

  #step(): void {
    this.nowMs += stepMs
    this.#endRuns()
    this.#makeAndEndPods()
    this.#bind()
    while (this.nowMs >= beginMs + (this.#arrivals[0]?.atMs ?? Infinity)) {
      this.#waiting.push(this.#arrivals.shift()!.job)
    }
    this.#admit()
    this.#scale()
    for (const [name, gpus] of this.freeOf) {
      if (gpus < 0) this.violations.push(`${name} has too much`)
    }
  }

  #endRuns(): void {
    for (const pod of this.pods) {
      const before = pod.jobs.length
      pod.jobs = pod.jobs.filter(({ uid }) => (this.#endMs.get(uid) ?? 0) > this.nowMs)
      if (before > 0 && pod.jobs.length === 0) pod.idleSinceMs = this.nowMs
    }
    for (let index = this.#jobPods.length - 1; index >= 0; index -= 1) {
      if (this.#jobPods[index]!.endMs <= this.nowMs) this.#jobPods.splice(index, 1)
    }
  }

  /** Without a Node, then not ready, then of the lowest cost, then the newest. */
  #makeAndEndPods(): void {
    this.pods = this.pods.filter(({ goneMs }) => goneMs > this.nowMs)
    const present = this.#present()
    const rank = ({ nodeName, readyMs, marked, createdMs }: PoolPod) =>
      [nodeName === undefined, readyMs > this.nowMs, marked, createdMs].map(Number)
    const sorted = present.toSorted((left, right) => compareRanks(rank(right), rank(left)))
    for (const pod of sorted.slice(0, Math.max(0, present.length - this.replicas))) {
      this.ended += 1
      pod.goneMs = this.nowMs + this.#plan.endingMs
      if (pod.jobs.length > 0) this.violations.push(`${pod.uid} went under a running job`)
    }
    for (let count = present.length; count < this.replicas; count += 1) this.#makePod()
  }

  #makePod(): void {
    this.pods.push({
      uid: `pod-${(this.#made += 1)}`,
      unschedulable: false,
      readyMs: Infinity,
      createdMs: this.nowMs,
      leaving: false,
      marked: false,
      goneMs: Infinity,
      idleSinceMs: this.nowMs,
      jobs: [],
    })
  }

  #present(): PoolPod[] {
    return this.pods.filter(({ goneMs }) => goneMs === Infinity)
  }

  #bind(): void {
    const { podGpus, poolsFirst } = this.#plan
    const ofPools = () => {
      for (const pod of this.#present()) {
        if (pod.nodeName !== undefined) continue
        pod.nodeName = this.#nodeFor(podGpus)
        pod.unschedulable = pod.nodeName === undefined
        if (!pod.unschedulable) pod.readyMs = this.nowMs + this.#plan.startupMs
      }
    }
    if (poolsFirst) ofPools()
    for (const pod of this.#jobPods) {
      if (pod.nodeName !== undefined) continue
      pod.nodeName = this.#nodeFor(pod.job.gpus)
      if (pod.nodeName === undefined) continue
      this.started.set(pod.job.uid, this.nowMs)
      pod.endMs = this.nowMs + this.#runMs(pod.job.uid)
    }
    if (!poolsFirst) ofPools()
  }

  /** The scheduler spreads: the Node with the most room. */
  #nodeFor(gpus: number): string | undefined {
    const [best] = [...this.freeOf].toSorted((left, right) => right[1] - left[1])
    return best !== undefined && best[1] >= gpus ? best[0] : undefined
  }

  #runMs(uid: string): number {
    return this.#plan.arrivals.find(({ job }) => job.uid === uid)?.runMs ?? 0
  }

  #admit(): void {
    const input = this.#input()
    const admission = admit(input)
    this.#turns = admission.turns
    for (const { job, place } of admission.starts) {
      this.#waiting.splice(this.#waiting.indexOf(job), 1)
      const owned = { uid: job.uid, department: job.department, model: job.model }
      const run = { ...owned, gpus: job.request.gpus, startMs: this.nowMs }
      if (place.kind === 'Node') {
        const { request } = job
        const planned = { kind: 'Node' as const, plannedName: place.nodeName, request }
        this.#jobPods.push({ job: { ...run, place: planned }, endMs: Infinity })
      }
      if (place.kind === 'Slot') {
        this.started.set(job.uid, this.nowMs)
        this.#endMs.set(job.uid, this.nowMs + this.#runMs(job.uid))
        this.pods.find(({ uid }) => uid === place.pod)?.jobs.push({ ...run, place })
      }
    }
    this.#demand = this.#demandFrom(input, admission)
  }

  #demandFrom(input: AdmissionInput, { starts, kept }: ReturnType<typeof admit>): PoolDemand {
    const { podGpus, slots, maxReplicas } = this.#plan
    const slotsToCome = (maxReplicas - this.#present().length) * slots
    const pools = [{ name: 'warm', slotsToCome, podRequest: aRequest(podGpus) }]
    const starting = new Set(starts.map(({ job }) => job.uid))
    const all = demandOf({ ...input, pools, kept, starting, expectedSeconds: () => 2 })
    return all.get('warm') ?? noDemand
  }

  #input(): AdmissionInput {
    const { nodes } = this.#plan
    const ofJobs = this.#jobPods.map(({ job, nodeName }): RunningJob => {
      return job.place.kind === 'Node' ? { ...job, place: { ...job.place, nodeName } } : job
    })
    return anInput({
      nowMs: this.nowMs,
      nodes: nodes.map((gpus, index) => aNode(`node-${index}`, gpus)),
      occupants: this.#occupants(),
      pools: [this.#view()],
      running: [...ofJobs, ...this.pods.flatMap(({ jobs }) => jobs)],
      jobs: this.#waiting,
      turns: this.#turns,
      settings: { patienceMs, affinityWaitMs: patienceMs, poolPatienceMs: patienceMs },
    })
  }

  #occupants(): Occupant[] {
    const request = aRequest(this.#plan.podGpus)
    const there = this.pods.filter(({ unschedulable }) => !unschedulable)
    return there.map(({ uid, nodeName, leaving, goneMs }) => {
      return { uid, nodeName, request, pool: 'warm', going: leaving || goneMs < Infinity }
    })
  }

  #view(): PoolView {
    const { podGpus, slots, minReplicas, maxReplicas } = this.#plan
    const present = this.#present()
    const staying = present.filter(({ leaving, unschedulable }) => !leaving && !unschedulable)
    return {
      name: 'warm',
      gpusPerSlot: podGpus / slots,
      slots: staying.flatMap((pod) => {
        const free = pod.readyMs > this.nowMs ? 0 : slots - pod.jobs.length
        return Array.from({ length: free }, () => ({ pod: pod.uid, model: 'sd' }))
      }),
      loading: [],
      growable: present.length < maxReplicas,
      growing: false,
      serving: true,
      surplus: Math.max(0, staying.length - minReplicas),
    }
  }

  #scale(): void {
    const { slots, minReplicas, maxReplicas, startupMs } = this.#plan
    const present = this.#present()
    const scaling = autoscale({
      spec: { minReplicas, maxReplicas, idleSeconds, slots },
      stopped: false,
      current: this.replicas,
      blocked: false,
      pods: present.map((pod) => ({
        ...pod,
        ready: pod.readyMs <= this.nowMs,
        busySlots: pod.jobs.length,
        idleSinceMs: pod.jobs.length > 0 ? undefined : pod.idleSinceMs,
        hasNoRoom: pod.unschedulable,
      })),
      demand: { ...this.#demand, startupSeconds: startupMs / 1000 },
      nowMs: this.nowMs,
    })
    this.replicas = scaling.replicas
    const ending = endingOf(scaling, present.length)
    for (const pod of present) {
      pod.leaving = scaling.leaving.includes(pod.uid)
      pod.marked = ending.includes(pod.uid)
    }
  }
}

function compareRanks(left: readonly number[], right: readonly number[]): number {
  const index = left.findIndex((one, place) => one !== right[place])
  return index < 0 ? 0 : (left[index] ?? 0) - (right[index] ?? 0)
}
