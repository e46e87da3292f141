import { Assignments, type EndReason, type JobRef } from '../../platform/pool-pod/assignments.ts'
import { chooseSlot } from '../../platform/pool-pod/choose-slot.ts'
import { assert } from '../../shared/assert.ts'
import type { Assigned, Assignment, PoolPodState } from '../../shared/wire/pool.ts'
import type { PooledJob } from './do-job.ts'
import type { Lent, PoolModel, Slot } from './slot.ts'

export type PoolOptions = {
  /** Drawn when the process starts. */
  readonly runner: string
  readonly models: readonly PoolModel[]
  readonly slots: readonly Slot[]
  readonly doJob: (job: PooledJob, lent: Lent) => Promise<EndReason>
  readonly onError: (error: unknown, doing: string) => void
}

type Job = JobRef & PooledJob

/** The jobs of a pool pod and the slots that do them. */
export class Pool {
  readonly #options: PoolOptions
  readonly #assignments = new Assignments()
  readonly #jobs = new Set<Promise<void>>()
  #draining = false

  constructor(options: PoolOptions) {
    this.#options = options
  }

  /**
   * Whether it takes jobs: every slot was warm or failed once, and one is warm now. A model that
   * cannot be loaded must not keep the others from being served.
   */
  get isReady(): boolean {
    const { slots } = this.#options
    if (this.#draining || !slots.every((slot) => slot.isSettled)) return false
    return slots.some((slot) => slot.isWorking)
  }

  /** Takes a job. @throws AppError as `Assignments.take` does. */
  assign(uid: string, assignment: Assignment): Assigned {
    const { runner, models } = this.#options
    const free = this.#options.slots.filter((one) => one.isFree)
    const slot = chooseSlot(free, (one) => one.model, assignment)
    const taken = this.#assignments.take(uid, assignment, {
      runner,
      draining: this.#draining,
      models: models.map(({ name }) => name),
      hasFreeSlot: slot !== undefined,
    })
    if (taken.kind === 'Known') return taken.assigned
    assert(slot !== undefined, 'an attempt is taken only when a slot is free')
    this.#start(slot, { uid, ...assignment, stop: taken.stop })
    return { attempt: assignment.attempt, state: 'Running' }
  }

  /** What became of an attempt, as soon as it is over or `forMs` are. @throws AppError */
  async wait(job: JobRef, forMs: number, signal: AbortSignal): Promise<Assigned> {
    return await this.#assignments.wait(job, forMs, signal)
  }

  /** Cancels what runs, forgets what has ended. */
  drop(job: JobRef): void {
    this.#assignments.drop(job)
  }

  describe(): PoolPodState {
    const { runner, slots } = this.#options
    return { runner, draining: this.#draining, slots: slots.map((slot) => slot.describe()) }
  }

  /** Takes no more jobs; fulfilled when the last one is over. */
  async drain(): Promise<void> {
    this.#draining = true
    await Promise.all(this.#jobs)
  }

  cancelAll(): void {
    this.#assignments.cancelAll()
  }

  #start(slot: Slot, job: Job): void {
    const running: Promise<void> = this.#run(slot, job).finally(() => this.#jobs.delete(running))
    this.#jobs.add(running)
  }

  /** Never rejects: a job that a bug ended is over, too. */
  async #run(slot: Slot, job: Job): Promise<void> {
    const { models, doJob, onError } = this.#options
    const { uid, attempt } = job
    const model = models.find(({ name }) => name === job.model)
    assert(model !== undefined, 'an attempt is taken only for a model of the pool')
    const reason = await slot
      .lend({ job: { uid, attempt }, model }, (lent) => doJob(job, lent))
      .catch((error: unknown): EndReason => {
        onError(error, 'doing a job')
        return 'Failed'
      })
    this.#assignments.end({ uid, attempt }, reason)
  }
}
