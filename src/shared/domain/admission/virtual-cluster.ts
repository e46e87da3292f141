import { admitFrom, type Start } from './admit.ts'
import type { AdmissionInput, FreeSlot, Occupant, Place, PoolView, RunningJob } from './input.ts'
import { type Cursors, openCursors } from './line-cursor.ts'
import type { Candidate } from './queue.ts'
import { addUses } from './use.ts'

/** A slot that is not there yet. */
export type ComingSlot = FreeSlot & { readonly pool: string; readonly atMs: number }

/** How long things take. */
export type Durations = {
  /** Of a job in that place, switching models included; without a place: anywhere. */
  readonly runMs: (job: Candidate, place?: Place) => number
  /** When a job that runs now will end. */
  readonly endMs: (job: RunningJob) => number
}

export type VirtualStart = {
  readonly uid: string
  readonly startMs: number
  readonly endMs: number
}

type Run = { readonly job: RunningJob; readonly endMs: number }

/** A job that ended when it starts would let time stand still. */
const RUN_MIN_MS = 1

/** A cluster in which nothing happens but what admission starts and what ends after its time. */
export class VirtualCluster {
  readonly #durations: Durations
  readonly #cursors: Cursors
  #input: AdmissionInput
  #runs: readonly Run[]
  #coming: readonly ComingSlot[]
  #recheckAtMs = Infinity
  #startedCount = 0

  constructor(
    input: AdmissionInput,
    durations: Durations,
    comingSlots: readonly ComingSlot[] = [],
  ) {
    this.#durations = durations
    // What is going and has nothing to do is as good as gone.
    this.#input = { ...input, occupants: withoutGone(input.occupants, input.running) }
    this.#cursors = openCursors(input.queue)
    this.#coming = comingSlots
    this.#runs = input.running.map((job) => {
      return { job, endMs: Math.max(durations.endMs(job), input.nowMs + RUN_MIN_MS) }
    })
  }

  get nowMs(): number {
    return this.#input.nowMs
  }

  get startedCount(): number {
    return this.#startedCount
  }

  /** Plans once. */
  step(): readonly VirtualStart[] {
    const { starts, turns, recheckAtMs = Infinity } = admitFrom(this.#input, this.#cursors)
    const runs = starts.map((start) => this.#runOf(start))
    this.#runs = [...this.#runs, ...runs]
    this.#recheckAtMs = recheckAtMs
    this.#startedCount += starts.length
    const pools = starts.reduce(withoutSlot, this.#input.pools)
    this.#input = { ...this.#input, turns, pools, running: this.#runs.map(({ job }) => job) }
    // When somebody else's quota lets a job start is not known here.
    const begun = runs.filter(({ job }) => job.place.kind !== 'Quota')
    return begun.map(({ job, endMs }) => ({ uid: job.uid, startMs: job.startMs, endMs }))
  }

  /** To the next moment at which something may change; false when there is none. */
  advance(): boolean {
    const moments = [
      this.#recheckAtMs,
      ...this.#runs.map(({ endMs }) => endMs),
      ...this.#coming.map(({ atMs }) => atMs),
    ]
    const nextMs = moments.reduce((least, moment) => Math.min(least, moment), Infinity)
    if (nextMs === Infinity) return false
    this.#input = { ...this.#input, nowMs: Math.max(nextMs, this.#input.nowMs) }
    this.#endRuns()
    this.#openSlots()
    return true
  }

  #runOf({ job, place }: Start): Run {
    const { nowMs, pools } = this.#input
    const { uid, department, user, model, request } = job
    const ranMs = Math.max(this.#durations.runMs(job, place), RUN_MIN_MS)
    const owned = { uid, department, user, model, startMs: nowMs }
    const endMs = nowMs + ranMs
    if (place.kind === 'Quota') return { job: { ...owned, gpus: 0, place }, endMs }
    const running: RunningJob =
      place.kind === 'Node'
        ? { ...owned, gpus: request.gpus, place: { ...place, request } }
        : { ...owned, gpus: gpusPerSlot(pools, place.pool), place }
    return { job: running, endMs }
  }

  #endRuns(): void {
    const { nowMs } = this.#input
    const ended = this.#runs.filter(({ endMs }) => endMs <= nowMs)
    this.#runs = this.#runs.filter(({ endMs }) => endMs > nowMs)
    const spells = ended.map(({ job, endMs }) => ({ ...job, endMs }))
    const use = addUses(this.#input.use, spells)
    const slots = ended.flatMap(({ job }) => this.#slotAfter(job) ?? [])
    const pools = slots.reduce(withSlot, this.#input.pools)
    const running = this.#runs.map(({ job }) => job)
    const occupants = withoutGone(this.#input.occupants, running)
    this.#input = { ...this.#input, use, pools, occupants, running }
  }

  /** What the run leaves behind; nothing in a pod that is going. */
  #slotAfter({ model, place }: RunningJob): Slot | undefined {
    if (place.kind !== 'Slot') return undefined
    const { pool, pod } = place
    const occupant = this.#input.occupants.find(({ uid }) => uid === pod)
    return occupant?.going === true ? undefined : { pool, pod, model, lacks: occupant?.lacks }
  }

  #openSlots(): void {
    const { nowMs, pools } = this.#input
    const opened = this.#coming.filter(({ atMs }) => atMs <= nowMs)
    this.#coming = this.#coming.filter(({ atMs }) => atMs > nowMs)
    this.#input = { ...this.#input, pools: opened.reduce(withSlot, pools) }
  }
}

/** A pod that is going has gone when no job is in it any more. */
function withoutGone(
  occupants: readonly Occupant[],
  running: readonly RunningJob[],
): readonly Occupant[] {
  const busy = new Set(running.flatMap(({ place }) => (place.kind === 'Slot' ? place.pod : [])))
  return occupants.filter(({ uid, going }) => going !== true || busy.has(uid))
}

type Slot = FreeSlot & { readonly pool: string }

function withSlot(pools: readonly PoolView[], slot: Slot): readonly PoolView[] {
  const { pool, pod, model, lacks } = slot
  return pools.map((view) =>
    view.name === pool ? { ...view, slots: [...view.slots, { pod, model, lacks }] } : view,
  )
}

function withoutSlot(pools: readonly PoolView[], { place }: Start): readonly PoolView[] {
  if (place.kind !== 'Slot') return pools
  return pools.map((view) => {
    if (view.name !== place.pool) return view
    const index = view.slots.findIndex(({ pod, model }) => {
      return pod === place.pod && model === place.slotModel
    })
    return { ...view, slots: view.slots.toSpliced(index, index < 0 ? 0 : 1) }
  })
}

function gpusPerSlot(pools: readonly PoolView[], name: string): number {
  return pools.find((pool) => pool.name === name)?.gpusPerSlot ?? 0
}
