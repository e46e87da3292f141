import { sleep } from '../../platform/clock/sleep.ts'
import { type BackOff, startBackOff } from '../../platform/kube/back-off.ts'
import { unreachable } from '../../shared/assert.ts'
import type { Clock } from '../../shared/clock.ts'
import type { Assigned } from '../../shared/wire/pool.ts'
import {
  POOL_BUSY_MS,
  POOL_RETRY_MAX_MS,
  POOL_RETRY_MIN_MS,
  POOL_WAIT_PAUSE_MS,
  POOL_WAIT_SECONDS,
} from '../limits.ts'
import type {
  AttemptOfJob,
  PoolAnswer,
  PoolClient,
  PoolPodAddress,
  Refusal,
} from '../pool-client.ts'

/** One attempt in a slot of a pool pod: everything that is said to the pod about it. */
export type SlotAssignment = AttemptOfJob & {
  readonly jobId: string
  /** Name of the base model. */
  readonly model: string
  readonly runner: string
  /** The model that its slot is to give up; not known any more after a restart. */
  readonly instead?: string | undefined
  readonly podUID: string
  readonly pod: PoolPodAddress
}

/**
 * `Ended`: the pod says so. `Unknown`: it has never heard of the attempt, or forgot it.
 * `Restarted`: the process that had it is gone. `Refused`: it was never begun.
 */
export type OverCause = 'Ended' | 'Unknown' | 'Restarted' | 'Refused'

/** What a pool pod has said so far about one attempt. */
export type PoolAnswers = {
  readonly state: 'Assigning' | 'Running' | 'Over'
  /** Of an attempt that is over. */
  readonly cause?: OverCause | undefined
  /** How the attempt ended, as the pod says. */
  readonly reason?: Assigned['reason'] | undefined
  /** When the pod said for the first time that it has the job. */
  readonly startedMs?: number | undefined
  /** The pod gives no usable answer, since then. */
  readonly silentSinceMs?: number | undefined
  readonly isCancelling: boolean
}

export type WatcherParts = {
  readonly client: Pick<PoolClient, 'assign' | 'wait' | 'cancel'>
  readonly clock: Clock
  readonly random: () => number
  /** Told of what cannot happen; the watcher goes on. */
  readonly onError: (error: unknown) => void
}

export type WatcherOptions = {
  readonly assignment: SlotAssignment
  /** Ask for its end at once, and never for its beginning. */
  readonly isCancelling: boolean
  readonly onChange: () => void
}

/**
 * Says to one pool pod what is wanted of one attempt, and remembers what it answers: the job is
 * handed over until that is acknowledged, then asked after until it has ended. It decides nothing.
 */
export class PoolWatcher {
  readonly assignment: SlotAssignment
  readonly #parts: WatcherParts
  readonly #onChange: () => void
  readonly #backOff: BackOff
  readonly #stopping = new AbortController()
  /** Ends the question or pause of the moment, so that a cancel does not wait for it. */
  #moment = new AbortController()
  #answers: PoolAnswers
  #isCancelSent = false
  #busySinceMs: number | undefined
  #untilMs = Infinity

  constructor(parts: WatcherParts, { assignment, isCancelling, onChange }: WatcherOptions) {
    this.assignment = assignment
    this.#parts = parts
    this.#onChange = onChange
    this.#answers = { state: 'Assigning', isCancelling }
    this.#backOff = startBackOff({
      baseMs: POOL_RETRY_MIN_MS,
      capMs: POOL_RETRY_MAX_MS,
      jitter: 0.5,
      random: parts.random,
    })
  }

  get answers(): PoolAnswers {
    return this.#answers
  }

  /** Resolves when there is nothing more to ask. */
  async run(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted && !this.#isDone()) {
      this.#moment = new AbortController()
      const moment = AbortSignal.any([signal, this.#moment.signal])
      const pauseMs = await this.#step(moment).catch((error: unknown) => {
        if (moment.aborted) return 0
        this.#parts.onError(error)
        return this.#pauseSilently()
      })
      if (pauseMs > 0) await sleep(pauseMs, moment)
    }
  }

  cancel(): void {
    if (this.#answers.isCancelling) return
    this.#learn({ isCancelling: true })
    this.#moment.abort(new Error('the attempt is cancelled'))
  }

  /** Nobody waits for the answer: try to end the attempt, but not for ever. */
  abandon(untilMs: number): void {
    this.#untilMs = untilMs
    this.cancel()
  }

  stop(): void {
    this.#stopping.abort(new Error('the attempt is not watched any more'))
  }

  #isDone(): boolean {
    return this.#answers.state === 'Over' || this.#parts.clock.nowMs() >= this.#untilMs
  }

  /** One exchange with the pod; how long to pause after it, in ms. Throws when it is interrupted. */
  async #step(moment: AbortSignal): Promise<number> {
    if (!this.#answers.isCancelling) {
      return this.#answers.state === 'Assigning' ? await this.#assign() : await this.#wait(moment)
    }
    return this.#isCancelSent ? await this.#wait(moment) : await this.#sendCancel()
  }

  /** Not interrupted by a cancel: its answer says whether there is anything to cancel. */
  async #assign(): Promise<number> {
    const { uid, attempt, jobId, model, instead, runner, pod } = this.assignment
    const assignment = { attempt, jobId, model, instead, runner }
    const { signal } = this.#stopping
    const answer = await this.#parts.client.assign(pod, { uid, assignment, signal })
    switch (answer.kind) {
      case 'Answered':
        return this.#take(answer.value)
      case 'Refused':
        return this.#takeRefusal(answer.code)
      case 'Unknown':
      case 'Unreachable':
        return this.#pauseSilently()
      default:
        return unreachable(answer)
    }
  }

  async #wait(signal: AbortSignal): Promise<number> {
    const { uid, attempt, pod } = this.assignment
    const question = { uid, attempt, waitSeconds: POOL_WAIT_SECONDS, signal }
    const askedMs = this.#parts.clock.nowMs()
    const answer = await this.#parts.client.wait(pod, question)
    if (answer.kind === 'Answered') {
      // A pod that does not wait must not be asked without end.
      const earlyMs = POOL_WAIT_PAUSE_MS - Math.abs(this.#parts.clock.nowMs() - askedMs)
      return this.#take(answer.value) + (answer.value.state === 'Running' ? earlyMs : 0)
    }
    if (answer.kind === 'Unknown') return this.#end('Unknown')
    return this.#pauseSilently()
  }

  async #sendCancel(): Promise<number> {
    const { uid, attempt, pod } = this.assignment
    const { signal } = this.#stopping
    const answer: PoolAnswer<undefined> = await this.#parts.client.cancel(pod, {
      uid,
      attempt,
      signal,
    })
    this.#isCancelSent = answer.kind === 'Answered' || answer.kind === 'Unknown'
    return this.#isCancelSent ? 0 : this.#pauseSilently()
  }

  #take({ state, reason }: Assigned): number {
    const startedMs = this.#answers.startedMs ?? this.#parts.clock.nowMs()
    this.#backOff.reset()
    if (state === 'Ended') {
      this.#learn({ startedMs, reason })
      return this.#end('Ended')
    }
    this.#learn({ state: 'Running', startedMs, silentSinceMs: undefined })
    return 0
  }

  #takeRefusal(code: Refusal): number {
    const nowMs = this.#parts.clock.nowMs()
    if (code === 'pool.runner_changed') return this.#end('Restarted')
    this.#busySinceMs ??= nowMs
    if (code !== 'pool.busy' || nowMs - this.#busySinceMs >= POOL_BUSY_MS) {
      return this.#end('Refused')
    }
    this.#learn({ silentSinceMs: undefined })
    return this.#backOff.next()
  }

  #end(cause: OverCause): number {
    this.#learn({ state: 'Over', cause, silentSinceMs: undefined })
    return 0
  }

  #pauseSilently(): number {
    const { silentSinceMs } = this.#answers
    this.#learn({ silentSinceMs: silentSinceMs ?? this.#parts.clock.nowMs() })
    return this.#backOff.next()
  }

  #learn(news: Partial<PoolAnswers>): void {
    const before = this.#answers
    this.#answers = { ...before, ...news }
    const names = ['state', 'silentSinceMs', 'isCancelling'] as const
    if (names.some((name) => before[name] !== this.#answers[name])) this.#onChange()
  }
}
