import type { Clock } from '../../shared/clock.ts'

/** Seconds from the start of the process to the first time something happened. */
export class PhaseTimes {
  readonly #clock: Clock
  readonly #startedMs: number
  readonly #seconds = new Map<string, number>()

  constructor(clock: Clock, startedMs: number) {
    this.#clock = clock
    this.#startedMs = startedMs
  }

  mark(phase: string): void {
    if (this.#seconds.has(phase)) return
    this.#seconds.set(phase, Math.max(0, this.#clock.nowMs() - this.#startedMs) / 1000)
  }

  seconds(): Record<string, number> {
    return Object.fromEntries(this.#seconds)
  }
}
