import type { Clock } from '../../shared/clock.ts'
import { TIMER_MS_MAX } from '../clock/sleep.ts'
import { backOffMs } from './back-off.ts'
import { retryAfterMs } from './errors.ts'
import { type WaitingKey, WaitingKeys } from './waiting-keys.ts'

/** What a reconcile wants next. A thrown error means: again, later and later. */
export type Outcome =
  | { readonly kind: 'Done' }
  | { readonly kind: 'RecheckAfter'; readonly ms: number }

/** One finished reconcile, for metrics. */
export type Reconciled = {
  readonly outcome: Outcome['kind'] | 'Failed'
  readonly waitedMs: number
  readonly durationMs: number
}

export type WorkQueueOptions = {
  readonly reconcile: (key: string) => Promise<Outcome>
  readonly concurrency: number
  /** Groups of keys have turns; keys without a group go first. Absent: all are one group. */
  readonly groupOf?: ((key: string) => string | undefined) | undefined
  readonly clock: Clock
  readonly random: () => number
  /** Told of every thrown error; the key is tried again without further ado. */
  readonly onError: (error: unknown, key: string) => void
  readonly onReconciled?: ((reconciled: Reconciled) => void) | undefined
  /** Limits how many failed keys per second are tried again, over all keys. */
  readonly retryRate?: { readonly perSecond: number; readonly burst: number } | undefined
}

export type WorkQueue = {
  /** Asks for a reconcile of this key as soon as possible; many asks become one. */
  readonly add: (key: string) => void
  /** The same in `delayMs`; of several delays the earliest counts. */
  readonly addAfter: (key: string, delayMs: number) => void
  /** Keys that wait for a free worker; not those that wait for their time. */
  readonly depth: () => number
  /** Takes nothing more, forgets what waits, resolves when the running reconciles have ended. */
  readonly stop: () => Promise<void>
}

/** client-go's default per-key schedule: 5 ms doubling up to 1,000 s. */
const RETRY_BASE_MS = 5
const RETRY_CAP_MS = 1_000_000
const RETRY_JITTER = 0.1

/** Runs `reconcile` for keys: at most one run per key at a time, at most `concurrency` in all. */
export function startWorkQueue(options: WorkQueueOptions): WorkQueue {
  const queue = new Queue(options)
  return {
    add: (key) => queue.add(key),
    addAfter: (key, delayMs) => queue.addAfter(key, delayMs),
    depth: () => queue.depth,
    stop: async () => await queue.stop(),
  }
}

type Delayed = { readonly dueMs: number; readonly timer: NodeJS.Timeout }

class Queue {
  readonly #options: WorkQueueOptions
  readonly #waiting = new WaitingKeys()
  readonly #running = new Map<string, Promise<void>>()
  readonly #delayed = new Map<string, Delayed>()
  readonly #failures = new Map<string, number>()
  readonly #retryPace: () => number
  #stopped = false

  constructor(options: WorkQueueOptions) {
    this.#options = options
    this.#retryPace = paceOf(options)
  }

  get depth(): number {
    return this.#waiting.size
  }

  add(key: string): void {
    if (this.#stopped) return
    const { clock, groupOf = () => '' } = this.#options
    this.#waiting.add({ key, sinceMs: clock.nowMs() }, groupOf(key))
    this.#startWaiting()
  }

  addAfter(key: string, delayMs: number): void {
    if (this.#stopped) return
    const dueMs = this.#options.clock.nowMs() + delayMs
    const known = this.#delayed.get(key)
    if (known !== undefined && known.dueMs <= dueMs) return
    clearTimeout(known?.timer)
    const timer = setTimeout(
      () => {
        this.#delayed.delete(key)
        this.add(key)
      },
      Math.max(0, Math.min(delayMs, TIMER_MS_MAX)),
    )
    this.#delayed.set(key, { dueMs, timer })
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#waiting.clear()
    for (const { timer } of this.#delayed.values()) clearTimeout(timer)
    this.#delayed.clear()
    await Promise.all(this.#running.values())
  }

  #startWaiting(): void {
    while (this.#running.size < this.#options.concurrency) {
      // A key that runs now stays in line: what happened during the run needs another look.
      const next = this.#waiting.take((key) => !this.#running.has(key))
      if (next === undefined) return
      this.#running.set(next.key, this.#run(next))
    }
  }

  async #run({ key, sinceMs }: WaitingKey): Promise<void> {
    const { clock, onReconciled } = this.#options
    const startedMs = clock.nowMs()
    const outcome = await this.#reconcile(key)
    this.#running.delete(key)
    onReconciled?.({
      outcome,
      waitedMs: startedMs - sinceMs,
      durationMs: clock.nowMs() - startedMs,
    })
    this.#startWaiting()
  }

  async #reconcile(key: string): Promise<Reconciled['outcome']> {
    try {
      // Starts in a later turn, so that a reconcile never runs inside the caller of add().
      await Promise.resolve()
      const outcome = await this.#options.reconcile(key)
      this.#failures.delete(key)
      if (outcome.kind === 'RecheckAfter') this.addAfter(key, outcome.ms)
      return outcome.kind
    } catch (error) {
      this.#retryLater(key, error)
      return 'Failed'
    }
  }

  #retryLater(key: string, error: unknown): void {
    const failures = this.#failures.get(key) ?? 0
    this.#failures.set(key, failures + 1)
    const delayMs = backOffMs(failures, {
      baseMs: RETRY_BASE_MS,
      capMs: RETRY_CAP_MS,
      jitter: RETRY_JITTER,
      random: this.#options.random,
    })
    this.addAfter(key, Math.max(delayMs, retryAfterMs(error), this.#retryPace()))
    this.#options.onError(error, key)
  }
}

/** How long the next retry must wait so that all of them keep to the overall rate. */
function paceOf({ retryRate, clock }: WorkQueueOptions): () => number {
  if (retryRate === undefined) return () => 0
  const stepMs = 1000 / retryRate.perSecond
  const burstMs = stepMs * retryRate.burst
  let nextMs = clock.nowMs() - burstMs
  return () => {
    const nowMs = clock.nowMs()
    nextMs = Math.max(nextMs, nowMs - burstMs) + stepMs
    return Math.max(0, nextMs - nowMs)
  }
}
