import { sleep } from '../clock/sleep.ts'
import { isThrottled, retryAfterMs } from './errors.ts'

export type Patience = {
  /** The pauses count against it: what would end later is not waited for. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly repetitionsMax?: number | undefined
}

const REPETITIONS_MAX = 3

/**
 * Tries again, after as long as the API server asks, what it turned away unread (429 with
 * Retry-After, which priority and fairness sends before a request can have any effect). The last
 * 429 is thrown with its `retryAfterSeconds`, by which work queue and list-watch go on waiting.
 */
export async function untilAdmitted<T>(
  attempt: () => Promise<T>,
  { timeoutMs, signal, repetitionsMax = REPETITIONS_MAX }: Patience,
): Promise<T> {
  const endMs = performance.now() + timeoutMs
  for (let repetitions = 0; ; repetitions += 1) {
    try {
      return await attempt()
    } catch (error) {
      const resumeMs = performance.now() + retryAfterMs(error)
      if (!isThrottled(error) || repetitions >= repetitionsMax || resumeMs >= endMs) throw error
      await sleep(retryAfterMs(error), signal)
      signal.throwIfAborted()
    }
  }
}
