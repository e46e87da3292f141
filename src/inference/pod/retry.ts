import { sleep } from '../../platform/clock/sleep.ts'
import type { Clock } from '../../shared/clock.ts'
import { isWorthRetrying } from './internal-api-error.ts'

export type RetryOptions = {
  readonly clock: Clock
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** No new try begins after so long. */
  readonly forMs: number
  readonly signal: AbortSignal
  /** Absent: `isWorthRetrying`. */
  readonly worthRetrying?: (error: unknown) => boolean
}

const firstDelayMs = 50
const longestDelayMs = 3_000

/** Repeats a call that is safe to repeat, with growing, jittered pauses. */
export async function retry<T>(call: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { clock, random, signal, worthRetrying = isWorthRetrying } = options
  const endMs = clock.nowMs() + options.forMs
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    try {
      signal.throwIfAborted()
      return await call()
    } catch (error) {
      const pauseMs = delayMs * (0.5 + random() / 2)
      const late = clock.nowMs() + pauseMs > endMs
      if (signal.aborted || late || !worthRetrying(error)) throw error
      await sleep(pauseMs, signal)
    }
  }
}
