import { admit, type Start } from '../../../src/shared/domain/admission/admit.ts'
import type { AdmissionInput, RunningJob } from '../../../src/shared/domain/admission/input.ts'
import type { Candidate } from '../../../src/shared/domain/admission/queue.ts'
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

type Run = { readonly job: RunningJob; readonly endMs: number }

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

  /** `leftMs`: how long each run of the input still takes. */
  constructor(input: AdmissionInput, arrivals: readonly Arrival[], leftMs = 0) {
    this.#input = { ...input, queue: input.queue.clone() }
    this.#arrivals = arrivals.toSorted((left, right) => left.atMs - right.atMs)
    this.#runMs = new Map(arrivals.map(({ job, runMs }) => [job.uid, runMs]))
    this.#runs = input.running.map((job) => ({ job, endMs: input.nowMs + leftMs }))
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
      )
      if (nextMs > endMs || nextMs === Infinity) return this
      this.#input = { ...this.#input, nowMs: nextMs }
      this.#end()
      this.#arrive()
      this.#plan()
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
        return place.kind === 'Slot' && place.pool === pool.name ? [{ pod: place.pod, model }] : []
      })
      return { ...pool, slots: [...pool.slots, ...freed] }
    })
    this.#input = { ...this.#input, use, pools, running: this.#runs.map(({ job }) => job) }
  }

  #plan(): void {
    const { nowMs, turns } = this.#input
    const admission = admit(this.#input)
    const before = this.#input.running.length
    this.#input = moveOn(this.#input, admission)
    this.#recheckAtMs = admission.recheckAtMs ?? Infinity
    const runs = this.#input.running.slice(before).map((job) => {
      return { job, endMs: nowMs + (this.#runMs.get(job.uid) ?? 0) }
    })
    this.#runs = [...this.#runs, ...runs]
    for (const [index, start] of admission.starts.entries()) {
      const { firstMs = nowMs, passedMs } = turns.get(start.job.uid) ?? {}
      const endMs = runs[index]?.endMs ?? nowMs
      this.stories.set(start.job.uid, { ...start, startMs: nowMs, endMs, firstMs, passedMs })
    }
  }
}
