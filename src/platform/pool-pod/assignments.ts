import { sleep } from '../clock/sleep.ts'
import { AppError } from '../../shared/errors.ts'
import type { Report } from '../../shared/wire/internal.ts'
import type { Assigned, Assignment } from '../../shared/wire/pool.ts'
import { rememberedJobsMax } from './limits.ts'

export type JobRef = { readonly uid: string; readonly attempt: number }
export type EndReason = Report['reason']

/** What the pod is now, which decides whether it takes a job. */
export type PodFacts = {
  readonly runner: string
  readonly draining: boolean
  readonly models: readonly string[]
  readonly hasFreeSlot: boolean
}

/** `Known`: nothing is to be done. `New`: to be started; `stop` fires when it is cancelled. */
export type Taken =
  | { readonly kind: 'Known'; readonly assigned: Assigned }
  | { readonly kind: 'New'; readonly stop: AbortSignal }

/** Of one job, its latest attempt. */
type Entry = {
  readonly attempt: number
  /** `Forgotten`: only that this attempt, and all before it, must not come back. */
  readonly state: 'Running' | 'Ended' | 'Forgotten'
  readonly reason?: EndReason
  /** Attempts up to this number are not taken any more. */
  readonly fence: number
  readonly stop: AbortController
  readonly over: AbortController
}

/**
 * Which attempts were given to this pod and what became of them. It is idempotent by job and
 * attempt: what was taken is never taken again, however often, late or out of order it is asked.
 */
export class Assignments {
  readonly #running = new Map<string, Entry>()
  /** The first one is the one that ended first. */
  readonly #past = new Map<string, Entry>()
  readonly #rememberedMax: number

  constructor({ rememberedMax = rememberedJobsMax }: { readonly rememberedMax?: number } = {}) {
    this.#rememberedMax = rememberedMax
  }

  get running(): number {
    return this.#running.size
  }

  /**
   * Takes an attempt, or says what is known of it. An older one that still runs is cancelled.
   * @throws AppError pool.runner_changed, pool.attempt_outdated, pool.busy, pool.draining;
   * request.invalid for a model that the pod does not have.
   */
  take(uid: string, assignment: Assignment, pod: PodFacts): Taken {
    if (assignment.runner !== pod.runner) {
      throw new AppError('pool.runner_changed', 'the container was restarted since')
    }
    const { attempt } = assignment
    const entry = this.#entry(uid)
    if (entry !== undefined && isShown(entry, attempt)) {
      return { kind: 'Known', assigned: describe(entry) }
    }
    if (entry !== undefined) refuseOlder(entry, attempt)
    refuseBy(pod, assignment)
    const stop = new AbortController()
    this.#past.delete(uid)
    this.#running.set(uid, {
      attempt,
      state: 'Running',
      fence: attempt,
      stop,
      over: new AbortController(),
    })
    return { kind: 'New', stop: stop.signal }
  }

  /** @throws AppError job.not_found for an attempt that is not known, or not any more. */
  get(job: JobRef): Assigned {
    return describe(this.#shown(job))
  }

  /** Fires when the attempt is over. @throws AppError job.not_found */
  over(job: JobRef): AbortSignal {
    return this.#shown(job).over.signal
  }

  /** What became of an attempt, as soon as it is over or `forMs` are. @throws AppError job.not_found */
  async wait(job: JobRef, forMs: number, signal: AbortSignal): Promise<Assigned> {
    await sleep(forMs, AbortSignal.any([this.over(job), signal]))
    return this.get(job)
  }

  end({ uid, attempt }: JobRef, reason: EndReason): void {
    const entry = this.#running.get(uid)
    if (entry?.attempt !== attempt) return
    this.#running.delete(uid)
    this.#remember(uid, { ...entry, state: 'Ended', reason })
    entry.over.abort()
  }

  /** Cancels what runs and forgets what has ended; attempts up to this one never come back. */
  drop({ uid, attempt }: JobRef): void {
    const running = this.#running.get(uid)
    if (running !== undefined) {
      if (running.attempt <= attempt) running.stop.abort()
      this.#running.set(uid, { ...running, fence: Math.max(running.fence, attempt) })
      return
    }
    const past = this.#past.get(uid)
    if (past !== undefined && past.attempt > attempt) return
    const fence = Math.max(past?.fence ?? 0, attempt)
    const [stop, over] = [new AbortController(), new AbortController()]
    this.#remember(uid, { attempt, state: 'Forgotten', fence, stop, over })
  }

  cancelAll(): void {
    for (const { stop } of this.#running.values()) stop.abort()
  }

  #entry(uid: string): Entry | undefined {
    return this.#running.get(uid) ?? this.#past.get(uid)
  }

  #shown({ uid, attempt }: JobRef): Entry {
    const entry = this.#entry(uid)
    if (entry !== undefined && isShown(entry, attempt)) return entry
    throw new AppError('job.not_found', `attempt ${attempt} of ${uid} is not known here`)
  }

  #remember(uid: string, entry: Entry): void {
    this.#past.delete(uid)
    this.#past.set(uid, entry)
    const [oldest] = this.#past.keys()
    if (this.#past.size > this.#rememberedMax && oldest !== undefined) this.#past.delete(oldest)
  }
}

function isShown(entry: Entry, attempt: number): boolean {
  return entry.attempt === attempt && entry.state !== 'Forgotten'
}

/** What an older or a running attempt of the same job forbids. */
function refuseOlder(entry: Entry, attempt: number): void {
  if (attempt <= entry.fence) {
    throw new AppError('pool.attempt_outdated', `attempt ${entry.fence} is known or was dropped`)
  }
  if (entry.state !== 'Running') return
  entry.stop.abort()
  throw new AppError('pool.busy', `attempt ${entry.attempt} is not over yet`)
}

function refuseBy(pod: PodFacts, { model }: Assignment): void {
  if (!pod.models.includes(model)) {
    const message = `is ${model}; the pod has ${pod.models.join(', ')}`
    throw new AppError('request.invalid', `model ${message}`, {
      fields: [{ path: '/model', message }],
    })
  }
  if (pod.draining) throw new AppError('pool.draining', 'the pod takes no more jobs')
  if (!pod.hasFreeSlot) throw new AppError('pool.busy', 'every slot has a job or is not ready')
}

function describe({ attempt, state, reason }: Entry): Assigned {
  return { attempt, state: state === 'Running' ? 'Running' : 'Ended', ...(reason && { reason }) }
}
