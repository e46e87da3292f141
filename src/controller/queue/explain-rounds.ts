import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'
import type { ExplainedJob } from '../../shared/wire/queue.ts'
import { QUEUE_ANSWER_MS, QUEUE_ANSWERS_MAX, QUEUE_ROUND_JOBS_MAX } from '../limits.ts'
import type { Pace } from './pace.ts'

export type ExplainRoundsOptions = {
  readonly clock: Clock
  readonly pace: Pace
  /** For many jobs at once; a job about which there is nothing to say is absent. */
  readonly explain: (uids: readonly string[]) => ReadonlyMap<string, ExplainedJob>
}

/** Enough for the last of all jobs that may be wanted at once. */
const ROUNDS_MAX = Math.ceil(QUEUE_ANSWERS_MAX / QUEUE_ROUND_JOBS_MAX)

type Known = { readonly job: ExplainedJob | undefined; readonly untilMs: number }

/**
 * Answers everybody who asks at the same time with one computation, and repeats an answer for a
 * second: however many ask, the cluster is looked at a few times a second.
 */
export class ExplainRounds {
  readonly #options: ExplainRoundsOptions
  readonly #known = new Map<string, Known>()
  readonly #wanted = new Set<string>()
  #round: Promise<void> | undefined

  constructor(options: ExplainRoundsOptions) {
    this.#options = options
  }

  /** In the order of the question. Errors: `platform.unavailable` when too many ask. */
  async ask(uids: readonly string[]): Promise<ExplainedJob[]> {
    const found = new Map<string, Known>()
    let missing = this.#collect(uids, found)
    for (let rounds = 0; missing.length > 0 && rounds < ROUNDS_MAX; rounds += 1) {
      await this.#want(missing)
      missing = this.#collect(missing, found)
    }
    return uids.flatMap((uid) => found.get(uid)?.job ?? [])
  }

  /** What is known goes there, and what is not is returned. */
  #collect(uids: readonly string[], found: Map<string, Known>): readonly string[] {
    const nowMs = this.#options.clock.nowMs()
    return uids.filter((uid) => {
      const known = this.#known.get(uid)
      if (known === undefined || nowMs >= known.untilMs) return true
      found.set(uid, known)
      return false
    })
  }

  async #want(uids: readonly string[]): Promise<void> {
    const added = uids.filter((uid) => !this.#wanted.has(uid))
    if (this.#wanted.size + added.length > QUEUE_ANSWERS_MAX) {
      throw new AppError('platform.unavailable', 'too many jobs are asked about')
    }
    for (const uid of added) this.#wanted.add(uid)
    this.#round ??= this.#options.pace.do(() => this.#answer())
    const round = this.#round
    await round.finally(() => this.#end(round))
  }

  /** One that was refused its turn must not keep the next from beginning, nor leave it its jobs. */
  #end(round: Promise<void>): void {
    if (this.#round !== round) return
    this.#round = undefined
    this.#wanted.clear()
  }

  /** Whoever asks from now on belongs to the next round, as do those whose turn has not come. */
  #answer(): void {
    const { clock, explain } = this.#options
    const uids = [...this.#wanted].slice(0, QUEUE_ROUND_JOBS_MAX)
    for (const uid of uids) this.#wanted.delete(uid)
    this.#round = undefined
    const explained = explain(uids)
    const untilMs = clock.nowMs() + QUEUE_ANSWER_MS
    if (this.#known.size + uids.length > QUEUE_ANSWERS_MAX) this.#known.clear()
    for (const uid of uids) this.#known.set(uid, { job: explained.get(uid), untilMs })
  }
}
