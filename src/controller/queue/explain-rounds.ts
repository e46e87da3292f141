import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'
import type { ExplainedJob } from '../../shared/wire/queue.ts'
import { QUEUE_ANSWER_MS, QUEUE_ANSWERS_MAX } from '../limits.ts'
import type { Pace } from './pace.ts'

export type ExplainRoundsOptions = {
  readonly clock: Clock
  readonly pace: Pace
  /** For many jobs at once; a job about which there is nothing to say is absent. */
  readonly explain: (uids: readonly string[]) => ReadonlyMap<string, ExplainedJob>
}

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
    const nowMs = this.#options.clock.nowMs()
    const fresh = new Map(uids.map((uid) => [uid, this.#fresh(uid, nowMs)]))
    const missing = [...fresh.keys()].filter((uid) => fresh.get(uid) === undefined)
    if (missing.length > 0) await this.#want(missing)
    return uids.flatMap((uid) => (fresh.get(uid) ?? this.#known.get(uid))?.job ?? [])
  }

  #fresh(uid: string, nowMs: number): Known | undefined {
    const known = this.#known.get(uid)
    return known !== undefined && nowMs < known.untilMs ? known : undefined
  }

  async #want(uids: readonly string[]): Promise<void> {
    if (this.#wanted.size + uids.length > QUEUE_ANSWERS_MAX) {
      throw new AppError('platform.unavailable', 'too many jobs are asked about')
    }
    for (const uid of uids) this.#wanted.add(uid)
    this.#round ??= this.#options.pace.do(() => this.#answer())
    const round = this.#round
    await round.finally(() => this.#end(round))
  }

  /** One that was refused its turn must not keep the next from beginning. */
  #end(round: Promise<void>): void {
    if (this.#round === round) this.#round = undefined
  }

  /** Whoever asks from now on belongs to the next round. */
  #answer(): void {
    const { clock, explain } = this.#options
    const uids = [...this.#wanted]
    this.#wanted.clear()
    this.#round = undefined
    const explained = explain(uids)
    const untilMs = clock.nowMs() + QUEUE_ANSWER_MS
    if (this.#known.size + uids.length > QUEUE_ANSWERS_MAX) this.#known.clear()
    for (const uid of uids) this.#known.set(uid, { job: explained.get(uid), untilMs })
  }
}
