import { sleep } from '../../platform/clock/sleep.ts'
import type { Progress } from '../../shared/wire/internal.ts'

export type Snapshot = Omit<Progress, 'sequence'>

export type ProgressPosterOptions = {
  readonly post: (progress: Progress, signal: AbortSignal) => Promise<void>
  /** Least time between two posts. */
  readonly pauseMs: number
  /** An unchanged snapshot is posted again after so long, so that the api sees a living pod. */
  readonly heartbeatMs: number
  readonly onError: (error: unknown) => void
  /** Absent: 1. */
  readonly firstSequence?: number | undefined
}

/**
 * Posts the newest snapshot, one post at a time; older ones are dropped, never queued. A failed
 * post is not repeated: the next snapshot is worth more.
 */
export class ProgressPoster {
  readonly #options: ProgressPosterOptions
  readonly #stop = new AbortController()
  #latest: Snapshot | undefined
  #changed = false
  #nextSequence: number
  #running: Promise<void> | undefined
  #wake: () => void = () => {}

  constructor(options: ProgressPosterOptions) {
    this.#options = options
    this.#nextSequence = options.firstSequence ?? 1
  }

  update(snapshot: Snapshot): void {
    this.#latest = snapshot
    this.#changed = true
    this.#wake()
    this.#running ??= this.#run()
  }

  /** Ends without a last post: the report says more. */
  async stop(): Promise<void> {
    this.#stop.abort()
    this.#wake()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.#post(signal)
      await sleep(this.#options.pauseMs, signal)
      if (!this.#changed) await this.#waitForChange(signal)
    }
  }

  async #post(signal: AbortSignal): Promise<void> {
    if (this.#latest === undefined) return
    this.#changed = false
    const sequence = this.#nextSequence++
    try {
      await this.#options.post({ sequence, ...this.#latest }, signal)
    } catch (error) {
      if (!signal.aborted) this.#options.onError(error)
    }
  }

  async #waitForChange(signal: AbortSignal): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await sleep(this.#options.heartbeatMs, AbortSignal.any([signal, woken.signal]))
    this.#wake = () => {}
  }
}
