import { ownerKey } from './owner.ts'
import { type Candidate, compareJobs, type JobQueue, type Line, type Shape } from './queue.ts'

/** The first waiting job of a shape. */
export type First = { readonly job: Candidate; readonly shape: Shape }

/**
 * Goes through one owner's waiting jobs and takes some away without touching the queue. Only the
 * first of a shape can be taken: a plan never starts another.
 */
export class LineCursor {
  readonly line: Line
  /** How many jobs of a shape have been taken. */
  readonly #taken = new Map<Shape, number>()
  #firsts: readonly First[] | undefined

  constructor(line: Line) {
    this.line = line
  }

  /** The first of each shape, in order. */
  get firsts(): readonly First[] {
    this.#firsts ??= this.line.shapes.flatMap((shape) => this.#firstOf(shape))
    return this.#firsts
  }

  take(job: Candidate): void {
    const all = this.firsts
    const taken = all.find((first) => first.job.uid === job.uid)
    if (taken === undefined) return
    const { shape } = taken
    this.#taken.set(shape, (this.#taken.get(shape) ?? 0) + 1)
    this.#firsts = [...all.filter((first) => first !== taken), ...this.#firstOf(shape)].toSorted(
      (left, right) => compareJobs(left.job, right.job),
    )
  }

  #firstOf(shape: Shape): readonly First[] {
    const job = shape.jobs[this.#taken.get(shape) ?? 0]
    return job === undefined ? [] : [{ job, shape }]
  }
}

/** The job of the first, if there is one. */
export function firstOf(all: Iterable<First>): Candidate[] {
  const [first] = all
  return first === undefined ? [] : [first.job]
}

/** By owner. */
export type Cursors = ReadonlyMap<string, LineCursor>

export function openCursors(queue: JobQueue): Cursors {
  return new Map([...queue.lines()].map((line) => [ownerKey(line), new LineCursor(line)]))
}
