import { assert } from '../../assert.ts'
import { type Owned, ownerKey } from './owner.ts'
import type { Resources } from './resources.ts'

/**
 * How a job wants to run: in a slot of a pool, in a pod of its own, or as admission likes.
 * `Quota`: in a pod of its own, as soon as somebody else's quota allows; here only the caps hold.
 */
export type Execution = 'Auto' | 'Pooled' | 'Dedicated' | 'Quota'

/** A job that could start now if there were a place for it. */
export type Candidate = Owned & {
  readonly uid: string
  /** Creation of its resource. */
  readonly createdMs: number
  /** 0–100, among the jobs of one owner only. */
  readonly priority: number
  /** What a pod of its own would ask for. */
  readonly request: Resources
  /** The base model: what must be in the memory of a slot. */
  readonly model: string
  /** Names of the LoRAs that it needs beside its model. */
  readonly loras?: readonly string[] | undefined
  /** Names of the pools that can serve it; none for `Dedicated`. */
  readonly pools: readonly string[]
  readonly execution: Execution
  /** `spec.owner.limits.runningJobs`: how many jobs of its owner may run for it to start. */
  readonly runningJobsMax?: number | undefined
}

/** Jobs of one owner that admission cannot tell apart: what serves one of them serves each. */
export type Shape = {
  /** The same for jobs of all owners that ask for the same. */
  readonly key: string
  /** In order; never empty. */
  readonly jobs: readonly Candidate[]
}

/** All that one owner has waiting; never empty. */
export type Line = Owned & {
  readonly key: string
  readonly size: number
  /** By their first jobs, in order. */
  readonly shapes: readonly Shape[]
}

/** Higher priority first, then older, then the smaller uid. */
export function compareJobs(left: Candidate, right: Candidate): number {
  if (left.priority !== right.priority) return right.priority - left.priority
  if (left.createdMs !== right.createdMs) return left.createdMs - right.createdMs
  if (left.uid === right.uid) return 0
  return left.uid < right.uid ? -1 : 1
}

/**
 * The waiting jobs by owner, and those of one owner by what they ask for: a plan looks at the
 * first of each shape, so its cost follows the owners and not the jobs (Kueue's KEP-9694 moves
 * equivalent workloads together for the same reason). What it answers depends on what is in it,
 * never on the order in which that came. A change costs a search in one array and a splice.
 */
export class JobQueue {
  readonly #jobs = new Map<string, Candidate>()
  readonly #lines = new Map<string, OwnerLine>()

  get size(): number {
    return this.#jobs.size
  }

  get(uid: string): Candidate | undefined {
    return this.#jobs.get(uid)
  }

  /** Adds the job, or replaces the one with its uid. */
  put(job: Candidate): void {
    this.remove(job.uid)
    this.#jobs.set(job.uid, job)
    const key = ownerKey(job)
    const line = this.#lines.get(key) ?? new OwnerLine(job)
    this.#lines.set(key, line)
    line.add(job)
  }

  /** Whether the job was there. */
  remove(uid: string): boolean {
    const job = this.#jobs.get(uid)
    if (job === undefined) return false
    this.#jobs.delete(uid)
    const key = ownerKey(job)
    const line = this.#lines.get(key)
    line?.remove(job)
    if (line?.size === 0) this.#lines.delete(key)
    return true
  }

  /** In no order that means anything. */
  lines(): Iterable<Line> {
    return this.#lines.values()
  }

  lineOf(owner: Owned): Line | undefined {
    return this.#lines.get(ownerKey(owner))
  }

  /** From 1, among the jobs of its owner; undefined when it does not wait here. */
  positionOf(uid: string): number | undefined {
    const job = this.#jobs.get(uid)
    const line = job === undefined ? undefined : this.lineOf(job)
    if (job === undefined || line === undefined) return undefined
    return line.shapes.reduce((sum, shape) => sum + countBefore(shape.jobs, job), 1)
  }

  /** An independent queue with the same jobs: one pass over them. */
  clone(): JobQueue {
    const copy = new JobQueue()
    for (const [uid, job] of this.#jobs) copy.#jobs.set(uid, job)
    for (const [key, line] of this.#lines) copy.#lines.set(key, line.clone())
    return copy
  }
}

class OwnerLine implements Line {
  readonly key: string
  readonly department: string
  readonly user: string | undefined
  readonly #byShape = new Map<string, Candidate[]>()
  #sorted: readonly Shape[] | undefined
  #size = 0

  constructor({ department, user }: Owned) {
    this.key = ownerKey({ department, user })
    this.department = department
    this.user = user
  }

  get size(): number {
    return this.#size
  }

  get shapes(): readonly Shape[] {
    this.#sorted ??= [...this.#byShape]
      .map(([key, jobs]) => ({ key, jobs }))
      .toSorted(({ jobs: [left] }, { jobs: [right] }) => compareFirsts(left, right))
    return this.#sorted
  }

  add(job: Candidate): void {
    const key = shapeKey(job)
    const jobs = this.#byShape.get(key) ?? []
    this.#byShape.set(key, jobs)
    const index = countBefore(jobs, job)
    jobs.splice(index, 0, job)
    this.#size += 1
    if (index === 0) this.#sorted = undefined
  }

  remove(job: Candidate): void {
    const key = shapeKey(job)
    const jobs = this.#byShape.get(key) ?? []
    const index = countBefore(jobs, job)
    if (jobs[index]?.uid !== job.uid) return
    jobs.splice(index, 1)
    this.#size -= 1
    if (jobs.length === 0) this.#byShape.delete(key)
    if (index === 0) this.#sorted = undefined
  }

  clone(): OwnerLine {
    const copy = new OwnerLine(this)
    for (const [key, jobs] of this.#byShape) copy.#byShape.set(key, [...jobs])
    copy.#size = this.#size
    return copy
  }
}

function shapeKey(job: Candidate): string {
  const { request, model, loras = [], pools, execution, runningJobsMax } = job
  const { gpus, cpuMillis, memoryBytes } = request
  const served = pools.toSorted().join(',')
  // Slots may lack LoRAs; a pod of its own is made with them.
  const needed = pools.length === 0 ? '' : loras.toSorted().join(',')
  const parts = [gpus, cpuMillis, memoryBytes, model, needed, served, execution, runningJobsMax]
  return parts.join('|')
}

function compareFirsts(left: Candidate | undefined, right: Candidate | undefined): number {
  assert(left !== undefined && right !== undefined, 'no shape is empty')
  return compareJobs(left, right)
}

/** How many jobs of the sorted array come before this one: where it stands or belongs. */
function countBefore(jobs: readonly Candidate[], job: Candidate): number {
  let low = 0
  let high = jobs.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const other = jobs[middle]
    if (other !== undefined && compareJobs(other, job) < 0) low = middle + 1
    else high = middle
  }
  return low
}
