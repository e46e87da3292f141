import { sleep } from '../../../platform/clock/sleep.ts'
import { AppError } from '../../../shared/errors.ts'
import type { Assigned, Assignment, PoolPodState, SlotState } from '../../../shared/wire/pool.ts'
import { secondsOf, type Simulation } from './simulation.ts'

/** Ended jobs whose result can still be asked for, as in a real pod. */
const rememberedMax = 1_000

export type FakePoolPodOptions = {
  /** Drawn anew for each start. */
  readonly runner: string
  /** Names of the base models, in the order of preloading. */
  readonly models: readonly string[]
  readonly slots: number
  readonly simulation: Simulation
}

export type JobRef = { readonly uid: string; readonly attempt: number }

/** Of one job, its latest attempt. `fence`: attempts up to it are not taken any more. */
type Entry = {
  readonly attempt: number
  readonly state: 'Running' | 'Ended' | 'Forgotten'
  readonly reason?: Assigned['reason']
  readonly fence: number
  readonly stop: AbortController
  readonly over: AbortController
}

/**
 * Keeps the protocol of pool pods (shared/wire/pool.ts) and makes nothing: its jobs end by a timer
 * and nobody reports them. It exists to put load on a controller; the same tests as on the real
 * pod (test/integration/inference/pool-contract.ts) keep the two alike.
 */
export class FakePoolPod {
  readonly #options: FakePoolPodOptions
  readonly #slots: SlotState[]
  readonly #entries = new Map<string, Entry>()
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
        model: models[index % models.length] ?? null,
        state: 'Idle',
        job: null,
      }
    }
  }

  /** Takes a job, or says what is known of it. @throws AppError as the real pod does */
  put(uid: string, assignment: Assignment): Assigned {
    const { attempt, model, runner } = assignment
    if (runner !== this.#options.runner) {
      throw new AppError('pool.runner_changed', 'the fake pool pod was restarted since')
    }
    const known = this.#entries.get(uid)
    if (known !== undefined && isShown(known, attempt)) return describe(known)
    this.#refuse(known, assignment)
    const index = this.#chooseSlot(assignment)
    if (index === undefined) throw new AppError('pool.busy', 'every slot has a job')
    const [stop, over] = [new AbortController(), new AbortController()]
    const entry: Entry = { attempt, state: 'Running', fence: attempt, stop, over }
    this.#remember(uid, entry)
    void this.#run(index, { uid, attempt }, model).catch(() => undefined)
    return describe(entry)
  }

  /** What became of an attempt, when it is over or `forMs` are. @throws AppError job.not_found */
  async wait(job: JobRef, forMs: number, signal: AbortSignal): Promise<Assigned> {
    const { state, over } = this.#shown(job)
    if (state === 'Running') await sleep(forMs, AbortSignal.any([over.signal, signal]))
    return describe(this.#shown(job))
  }

  /** Cancels what runs, forgets what has ended; attempts up to this one never come back. */
  drop({ uid, attempt }: JobRef): void {
    const known = this.#entries.get(uid)
    const fence = Math.max(known?.fence ?? 0, attempt)
    if (known?.state === 'Running') {
      if (known.attempt <= attempt) known.stop.abort()
      this.#entries.set(uid, { ...known, fence })
    } else if (known === undefined || known.attempt <= attempt) {
      const [stop, over] = [new AbortController(), new AbortController()]
      this.#remember(uid, { attempt, state: 'Forgotten', fence, stop, over })
    }
  }

  describe(): PoolPodState {
    return { runner: this.#options.runner, draining: this.#draining, slots: [...this.#slots] }
  }

  drain(): void {
    this.#draining = true
  }

  cancelAll(): void {
    for (const { stop } of this.#entries.values()) stop.abort()
  }

  #refuse(known: Entry | undefined, { attempt, model }: Assignment): void {
    if (known !== undefined && attempt <= known.fence) {
      throw new AppError('pool.attempt_outdated', `attempt ${known.fence} is known or was dropped`)
    }
    if (known?.state === 'Running') {
      known.stop.abort()
      throw new AppError('pool.busy', `attempt ${known.attempt} is not over yet`)
    }
    if (!this.#options.models.includes(model)) {
      const message = `the pod does not have ${model}`
      throw new AppError('request.invalid', message, { fields: [{ path: '/model', message }] })
    }
    if (this.#draining) throw new AppError('pool.draining', 'the pod takes no more jobs')
  }

  /** A slot that has the model, else the one that is to give up its own, else any idle one. */
  #chooseSlot({ model, instead }: Assignment): number | undefined {
    const idle = [...this.#slots.keys()].filter((index) => this.#slots[index]?.state === 'Idle')
    const withModel = (name: string) => idle.find((index) => this.#slots[index]?.model === name)
    return withModel(model) ?? (instead === undefined ? undefined : withModel(instead)) ?? idle[0]
  }

  async #run(index: number, job: JobRef, model: string): Promise<void> {
    const { simulation } = this.#options
    const entry = this.#entries.get(job.uid)
    const loadSeconds = this.#slots[index]?.model === model ? 0 : simulation.loadSeconds
    const stop = entry?.stop.signal ?? AbortSignal.abort()
    if (loadSeconds > 0) {
      this.#slots[index] = { model: null, state: 'Busy', job }
      await sleep(loadSeconds * 1000, stop)
    }
    this.#slots[index] = { model, state: 'Busy', job }
    await sleep(secondsOf(simulation, model) * 1000, stop)
    this.#slots[index] = { model, state: 'Idle', job: null }
    const now = this.#entries.get(job.uid)
    if (now === undefined) return
    const reason = stop.aborted ? 'Cancelled' : 'Completed'
    this.#remember(job.uid, { ...now, state: 'Ended', reason })
    now.over.abort()
  }

  #shown({ uid, attempt }: JobRef): Entry {
    const entry = this.#entries.get(uid)
    if (entry !== undefined && isShown(entry, attempt)) return entry
    throw new AppError('job.not_found', `attempt ${attempt} of ${uid} is not known here`)
  }

  /** The newest is last. What runs is never forgotten: there are few of these. */
  #remember(uid: string, entry: Entry): void {
    this.#entries.delete(uid)
    this.#entries.set(uid, entry)
    const running = this.#slots.filter(({ job }) => job !== null).length
    if (this.#entries.size - running <= rememberedMax) return
    for (const [other, { state }] of this.#entries) {
      if (state === 'Running') continue
      this.#entries.delete(other)
      return
    }
  }
}

function isShown(entry: Entry, attempt: number): boolean {
  return entry.attempt === attempt && entry.state !== 'Forgotten'
}

function describe({ attempt, state, reason }: Entry): Assigned {
  return { attempt, state: state === 'Running' ? 'Running' : 'Ended', ...(reason && { reason }) }
}
