import { admit, type Start } from '../../../src/shared/domain/admission/admit.ts'
import type { AdmissionInput, RunningJob } from '../../../src/shared/domain/admission/input.ts'
import type { Candidate } from '../../../src/shared/domain/admission/queue.ts'
import { fitsInto, subtractResources } from '../../../src/shared/domain/admission/resources.ts'
import { addUse } from '../../../src/shared/domain/admission/use.ts'
import { moveOn } from './apply.ts'

export type Arrival = { readonly atMs: number; readonly job: Candidate; readonly runMs: number }

export type Story = Start & {
  readonly startMs: number
  readonly endMs: number
  /** When it was first of its owner and within the caps; its start if it never waited so. */
  readonly firstMs: number
  readonly passedMs: number | undefined
}

type Run = {
  readonly job: RunningJob
  /** Infinity while its pod is not bound. */
  readonly endMs: number
  /** When the scheduler looks at it; Infinity: never. */
  readonly bindMs: number
}

export type WorldOptions = {
  /** How long each run of the input still takes. */
  readonly leftMs?: number
  /** How long the scheduler takes to bind a pod. */
  readonly bindMs?: number
  /** `Spreads`: it does not know which Node was planned, and takes the least used that fits. */
  readonly scheduler?: 'AsAsked' | 'Spreads'
}

/**
 * A cluster in which time passes: jobs arrive, admission plans whenever something arrives, ends or
 * its waiting limit is over, and runs end after their time. Written apart from the product's own
 * forecast, so that one checks the other.
 */
export class World {
  readonly stories = new Map<string, Story>()
  #input: AdmissionInput
  #arrivals: readonly Arrival[]
  readonly #runMs: ReadonlyMap<string, number>
  #runs: readonly Run[]
  #recheckAtMs = Infinity
  readonly #options: Required<WorldOptions>

  constructor(
    input: AdmissionInput,
    arrivals: readonly Arrival[],
    { leftMs = 0, bindMs = 0, scheduler = 'AsAsked' }: WorldOptions = {},
  ) {
    this.#options = { leftMs, bindMs, scheduler }
    this.#input = withoutGone({ ...input, queue: input.queue.clone() })
    this.#arrivals = arrivals.toSorted((left, right) => left.atMs - right.atMs)
    this.#runMs = new Map(arrivals.map(({ job, runMs }) => [job.uid, runMs]))
    this.#runs = input.running.map((job) => {
      return { job, endMs: input.nowMs + leftMs, bindMs: Infinity }
    })
  }

  get input(): AdmissionInput {
    return this.#input
  }

  /** Until nothing can happen any more, or until then. */
  runUntil(endMs: number): this {
    for (;;) {
      const nextMs = Math.min(
        this.#arrivals[0]?.atMs ?? Infinity,
        this.#recheckAtMs,
        ...this.#runs.map((run) => run.endMs),
        ...this.#runs.map((run) => run.bindMs).filter((atMs) => atMs > this.#input.nowMs),
      )
      if (nextMs > endMs || nextMs === Infinity) return this
      this.#input = { ...this.#input, nowMs: nextMs }
      this.#end()
      this.#bind()
      this.#arrive()
      this.#plan()
      this.#bind()
    }
  }

  #arrive(): void {
    const { nowMs, queue } = this.#input
    const due = this.#arrivals.filter(({ atMs }) => atMs <= nowMs)
    this.#arrivals = this.#arrivals.slice(due.length)
    for (const { job } of due) queue.put(job)
  }

  #end(): void {
    const { nowMs } = this.#input
    const ended = this.#runs.filter(({ endMs }) => endMs <= nowMs)
    this.#runs = this.#runs.filter(({ endMs }) => endMs > nowMs)
    const use = ended.reduce(
      (sum, { job }) => addUse(sum, { ...job, endMs: nowMs }),
      this.#input.use,
    )
    const pools = this.#input.pools.map((pool) => {
      const freed = ended.flatMap(({ job: { model, place } }) => {
        if (place.kind !== 'Slot' || place.pool !== pool.name) return []
        const pod = this.#input.occupants.find(({ uid }) => uid === place.pod)
        return pod?.going === true ? [] : [{ pod: place.pod, model, lacks: pod?.lacks }]
      })
      return { ...pool, slots: [...pool.slots, ...freed] }
    })
    const running = this.#runs.map(({ job }) => job)
    this.#input = withoutGone({ ...this.#input, use, pools, running })
  }

  #plan(): void {
    const { nowMs, turns } = this.#input
    const admission = admit(this.#input)
    const before = this.#input.running.length
    this.#input = moveOn(this.#input, admission)
    this.#recheckAtMs = admission.recheckAtMs ?? Infinity
    const started = this.#input.running.slice(before)
    this.#runs = [...this.#runs, ...started.map((job) => this.#runOf(job))]
    this.#input = { ...this.#input, running: this.#runs.map(({ job }) => job) }
    for (const start of admission.starts) {
      const { firstMs = nowMs, passedMs } = turns.get(start.job.uid) ?? {}
      const endMs = nowMs + (this.#runMs.get(start.job.uid) ?? 0)
      this.stories.set(start.job.uid, { ...start, startMs: nowMs, endMs, firstMs, passedMs })
    }
  }

  #runOf(job: RunningJob): Run {
    const { nowMs } = this.#input
    const { bindMs, scheduler } = this.#options
    const { place } = job
    const isPod = place.kind === 'Node' && (bindMs > 0 || scheduler === 'Spreads')
    const endMs = nowMs + (this.#runMs.get(job.uid) ?? 0)
    if (!isPod) return { job, endMs, bindMs: nowMs }
    const plannedName = scheduler === 'Spreads' ? undefined : place.nodeName
    const unbound = { ...job, place: { ...place, nodeName: undefined, plannedName } }
    return { job: unbound, endMs: Infinity, bindMs: nowMs + bindMs }
  }

  /** What the scheduler does: where it was asked to, else where most is free. */
  #bind(): void {
    const { nowMs } = this.#input
    for (const [index, { job, bindMs }] of this.#runs.entries()) {
      const { place } = job
      if (place.kind !== 'Node' || place.nodeName !== undefined || bindMs > nowMs) continue
      const fitting = this.#free().filter(({ free }) => fitsInto(place.request, free))
      const asked = fitting.find(({ name }) => name === place.plannedName)
      const nodeName = (asked ?? fitting[0])?.name
      if (nodeName === undefined) continue
      const bound = { ...job, place: { ...place, nodeName } }
      const endMs = nowMs + (this.#runMs.get(job.uid) ?? 0)
      this.#runs = this.#runs.with(index, { job: bound, endMs, bindMs })
    }
    this.#input = { ...this.#input, running: this.#runs.map(({ job }) => job) }
  }

  /** The least used Node first. */
  #free() {
    const { nodes, occupants } = this.#input
    const onNodes = this.#runs.flatMap(({ job: { place } }) => {
      return place.kind === 'Node' ? [place] : []
    })
    const all = nodes.map(({ name, allocatable }) => {
      const here = [...occupants, ...onNodes].filter(({ nodeName }) => nodeName === name)
      return {
        name,
        free: here.map(({ request }) => request).reduce(subtractResources, allocatable),
      }
    })
    return all.toSorted((left, right) => right.free.gpus - left.free.gpus)
  }
}

/** Pods that are going end with their last job. */
function withoutGone(input: AdmissionInput): AdmissionInput {
  const busy = input.running.map(({ place }) => (place.kind === 'Slot' ? place.pod : undefined))
  const occupants = input.occupants.filter(({ uid, going }) => going !== true || busy.includes(uid))
  return { ...input, occupants }
}
