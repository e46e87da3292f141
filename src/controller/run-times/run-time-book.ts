import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import {
  addRun,
  addStart,
  noRunTimes,
  type RunClass,
  type RunTimes,
} from '../../shared/domain/admission/run-times.ts'
import { findCondition } from '../conditions.ts'
import { RUNS_LEARNED_MAX } from '../limits.ts'
import type { WorkOf } from './work-of.ts'

type Learned = { readonly uid: string; readonly start: boolean; readonly run: boolean }

/**
 * How long jobs take, measured from the status of those that exist: `status.attempt.startTime` to
 * `status.completionTime` of completed ones, and `Admitted` to the first start. Times are in whole
 * seconds, which a mean over many evens out.
 */
export class RunTimeBook {
  readonly #workOf: WorkOf
  /** By key, so that nothing is counted twice. As many as there are objects. */
  readonly #learned = new Map<string, Learned>()
  #times: RunTimes = noRunTimes

  constructor(workOf: WorkOf) {
    this.#workOf = workOf
  }

  get times(): RunTimes {
    return this.#times
  }

  /** What ended before this process began to look: the newest of it, in order. */
  learn(jobs: readonly (readonly [key: string, job: GenerationJob])[]): void {
    const ended = jobs.filter(([, { status }]) => status?.completionTime !== undefined)
    const ordered = ended.toSorted(([, left], [, right]) => endMs(left) - endMs(right))
    for (const [key, job] of ordered.slice(-RUNS_LEARNED_MAX)) this.note(key, job)
  }

  /** The job as it is now; undefined when it is gone. */
  note(key: string, job: GenerationJob | undefined): void {
    if (job === undefined) return void this.#learned.delete(key)
    const before = this.#learned.get(key)
    const isKnown = before?.uid === job.metadata.uid
    const start = (isKnown && before.start) || this.#noteStart(job)
    const run = (isKnown && before.run) || this.#noteRun(job)
    if (start || run) this.#learned.set(key, { uid: job.metadata.uid, start, run })
  }

  /** Only of the first attempt it is known since when it had its place. */
  #noteStart(job: GenerationJob): boolean {
    const { attempt, conditions } = job.status ?? {}
    const admitted = findCondition(conditions, 'Admitted')
    if (attempt?.startTime === undefined || attempt.number !== 1) return false
    if (attempt.pool !== undefined || admitted?.status !== 'True') return false
    const seconds = secondsBetween(admitted.lastTransitionTime, attempt.startTime)
    this.#times = addStart(this.#times, { ...classOf(job), seconds })
    return true
  }

  #noteRun(job: GenerationJob): boolean {
    const { attempt, completionTime } = job.status ?? {}
    if (attempt?.outcome !== 'Completed' || attempt.startTime === undefined) return false
    const work = this.#workOf(job)
    if (completionTime === undefined || work === undefined) return false
    const seconds = secondsBetween(attempt.startTime, completionTime)
    this.#times = addRun(this.#times, { ...classOf(job), work, seconds })
    return true
  }
}

function classOf({ spec, status }: GenerationJob): RunClass {
  const kind = status?.attempt?.pool === undefined ? 'Node' : 'Slot'
  return { model: spec.modelRef.name, kind }
}

function endMs({ status }: GenerationJob): number {
  return Date.parse(status?.completionTime ?? '')
}

function secondsBetween(from: string, to: string): number {
  return Math.max(0, (Date.parse(to) - Date.parse(from)) / 1000)
}
