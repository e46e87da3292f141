import { sleep } from '../../../platform/clock/sleep.ts'
import { Assignments, type JobRef } from '../../../platform/pool-pod/assignments.ts'
import { chooseSlot } from '../../../platform/pool-pod/choose-slot.ts'
import { assert } from '../../../shared/assert.ts'
import {
  type Assigned,
  type Assignment,
  modelsOfSlot,
  type PoolPodState,
  type SlotState,
} from '../../../shared/wire/pool.ts'
import { secondsOf, type Simulation } from './simulation.ts'

export type FakePoolPodOptions = {
  /** Drawn anew for each start. */
  readonly runner: string
  /** Names of the base models, in the order of preloading. */
  readonly models: readonly string[]
  readonly slots: number
  readonly simulation: Simulation
}

/** A job that a slot has. */
type Run = {
  readonly index: number
  readonly job: JobRef
  readonly model: string
  readonly stop: AbortSignal
}

/**
 * Speaks as a pool pod does (platform/pool-pod) and makes nothing: its jobs end by a timer and
 * nobody reports them. It exists to put load on a controller; the same tests as on the real pod
 * (test/integration/inference/pool-contract.ts) keep the two alike.
 */
export class FakePoolPod {
  readonly #options: FakePoolPodOptions
  readonly #slots: SlotState[]
  readonly #assignments = new Assignments()
  #draining = false

  constructor(options: FakePoolPodOptions) {
    this.#options = options
    this.#slots = Array.from({ length: options.slots }, () => {
      return { model: null, state: 'Loading', job: null }
    })
  }

  get isReady(): boolean {
    return !this.#draining && this.#slots.every(({ state }) => state !== 'Loading')
  }

  get isIdle(): boolean {
    return this.#slots.every(({ job }) => job === null)
  }

  /** “Loads” one model into each slot. */
  async start(signal: AbortSignal): Promise<void> {
    await sleep(this.#options.simulation.loadSeconds * 1000, signal)
    if (signal.aborted) return
    const { models } = this.#options
    for (const index of this.#slots.keys()) {
      this.#slots[index] = {
        model: modelsOfSlot(models, index)[0] ?? null,
        state: 'Idle',
        job: null,
      }
    }
  }

  assign(uid: string, assignment: Assignment): Assigned {
    const { runner, models } = this.#options
    const { attempt, model } = assignment
    const idle = [...this.#slots.keys()].filter((one) => this.#slots[one]?.state === 'Idle')
    const index = chooseSlot(idle, (one) => this.#slots[one]?.model, assignment)
    const taken = this.#assignments.take(uid, assignment, {
      runner,
      models,
      draining: this.#draining,
      hasFreeSlot: index !== undefined,
    })
    if (taken.kind === 'Known') return taken.assigned
    assert(index !== undefined, 'an attempt is taken only when a slot is free')
    const run = { index, job: { uid, attempt }, model, stop: taken.stop }
    void this.#run(run).catch(() => undefined)
    return { attempt, state: 'Running' }
  }

  async wait(job: JobRef, forMs: number, signal: AbortSignal): Promise<Assigned> {
    return await this.#assignments.wait(job, forMs, signal)
  }

  drop(job: JobRef): void {
    this.#assignments.drop(job)
  }

  describe(): PoolPodState {
    return { runner: this.#options.runner, draining: this.#draining, slots: [...this.#slots] }
  }

  drain(): void {
    this.#draining = true
  }

  cancelAll(): void {
    this.#assignments.cancelAll()
  }

  async #run({ index, job, model, stop }: Run): Promise<void> {
    const { simulation } = this.#options
    const loadSeconds = this.#slots[index]?.model === model ? 0 : simulation.loadSeconds
    if (loadSeconds > 0) {
      this.#slots[index] = { model: null, state: 'Busy', job }
      await sleep(loadSeconds * 1000, stop)
    }
    this.#slots[index] = { model, state: 'Busy', job }
    await sleep(secondsOf(simulation, model) * 1000, stop)
    this.#slots[index] = { model, state: 'Idle', job: null }
    this.#assignments.end(job, stop.aborted ? 'Cancelled' : 'Completed')
  }
}
