import { assert } from '../../shared/assert.ts'

export type BackOffOptions = {
  readonly baseMs: number
  readonly capMs: number
  /** Spread: a delay lies between the step and the step times (1 + jitter), never over the cap. */
  readonly jitter: number
  readonly random: () => number
}

/** Growing delays: base, twice that, and so on up to the cap. */
export type BackOff = {
  readonly next: () => number
  readonly reset: () => void
}

/** The delay before try number `step` (0 is the first repetition). */
export function backOffMs(step: number, options: BackOffOptions): number {
  const { baseMs, capMs, jitter, random } = options
  // The jitter lies below the cap, so that clients which failed together do not meet at it.
  const stepMsMax = capMs / (1 + jitter)
  assert(step >= 0 && baseMs > 0 && baseMs <= stepMsMax, 'the back-off has room to grow')
  return Math.min(baseMs * 2 ** step, stepMsMax) * (1 + jitter * random())
}

export function startBackOff(options: BackOffOptions): BackOff {
  let step = 0
  return {
    next: () => {
      const delayMs = backOffMs(step, options)
      step += 1
      return delayMs
    },
    reset: () => {
      step = 0
    },
  }
}
