import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'

export type PaceOptions = {
  readonly clock: Clock
  /** After each computation nothing is computed for so many times as long. */
  readonly share: number
  readonly waitingMax: number
  /** Whoever has waited longer has gone, so nothing is computed for him any more. */
  readonly patienceMs?: number
}

type Task = {
  readonly sinceMs: number
  readonly run: () => void
  readonly refuse: (reason: AppError) => void
}

/** Does one computation after the other, with pauses, so that other work gets its time. */
export class Pace {
  readonly #options: PaceOptions
  readonly #tasks: Task[] = []
  #freeAtMs = -Infinity
  #timer: NodeJS.Timeout | undefined
  #isStopped = false

  constructor(options: PaceOptions) {
    this.#options = options
  }

  /** Errors: `platform.unavailable` when too many wait already, after too long, with the end. */
  async do<T>(compute: () => T): Promise<T> {
    if (this.#isStopped) throw stopped()
    if (this.#tasks.length >= this.#options.waitingMax) {
      throw new AppError('platform.unavailable', 'too many questions wait for an answer')
    }
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const sinceMs = this.#options.clock.nowMs()
    this.#tasks.push({ sinceMs, run: () => resolve(compute()), refuse: reject })
    this.#schedule()
    return await promise
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#timer)
    for (const { refuse } of this.#tasks.splice(0)) refuse(stopped())
  }

  #schedule(): void {
    const pauseMs = Math.max(0, this.#freeAtMs - this.#options.clock.nowMs())
    this.#timer ??= setTimeout(() => this.#next(), pauseMs)
  }

  #next(): void {
    const { clock, share } = this.#options
    this.#timer = undefined
    this.#refuseGone()
    const task = this.#tasks.shift()
    const startMs = clock.nowMs()
    try {
      task?.run()
    } catch (cause) {
      task?.refuse(new AppError('platform.internal', 'the answer could not be computed', { cause }))
    }
    const endMs = clock.nowMs()
    this.#freeAtMs = endMs + (endMs - startMs) * share
    if (this.#tasks.length > 0) this.#schedule()
  }

  #refuseGone(): void {
    const { clock, patienceMs = Infinity } = this.#options
    const first = this.#tasks.findIndex(({ sinceMs }) => clock.nowMs() - sinceMs < patienceMs)
    const gone = this.#tasks.splice(0, first < 0 ? this.#tasks.length : first)
    for (const { refuse } of gone) {
      refuse(new AppError('platform.unavailable', 'the question has waited for too long'))
    }
  }
}

function stopped(): AppError {
  return new AppError('platform.unavailable', 'the controller stops')
}
