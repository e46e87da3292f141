import type { Hold } from '../../shared/wire/internal.ts'
import type { Answer } from '../api-client.ts'
import {
  HOLD_QUESTIONS_PER_SECOND,
  HOLD_RECHECK_CROWDED_MAX_MS,
  HOLD_RECHECK_MAX_MS,
  HOLD_RECHECK_MIN_MS,
  UNREACHABLE_RECHECK_MAX_MS,
  UNREACHABLE_RECHECK_MIN_MS,
} from '../limits.ts'
import type { HoldAnswer } from './observed.ts'
import { clamp } from './times.ts'

type Remembered = HoldAnswer & { readonly uid: string; readonly pauseMs: number }

/**
 * What the api last said about each job's hold, so that a queue of thousands, woken by every
 * Node and Model, asks each question only as often as it may have another answer.
 */
export class HoldMemory {
  readonly #answers = new Map<string, Remembered>()

  /** The last answer for this job, as long as it is too early to ask again. */
  recall(job: JobKey, nowMs: number): HoldAnswer | undefined {
    const known = this.#get(job)
    return known !== undefined && nowMs < known.askAgainMs ? known : undefined
  }

  remember(job: JobKey, answer: Answer<Hold>, nowMs: number): HoldAnswer {
    const pauseMs = pauseAfter(answer, this.#get(job), this.#answers.size)
    const remembered = { uid: job.uid, answer, pauseMs, askAgainMs: nowMs + pauseMs }
    this.#answers.set(job.key, remembered)
    return remembered
  }

  /**
   * Whether the job has its place in the queue: when its credits are held, also before the status
   * says so, and as long as nothing is known, so that nobody younger overtakes a question.
   */
  mayBeHeld(job: JobKey): boolean {
    const answer = this.#get(job)?.answer
    if (answer === undefined) return true
    return answer.kind === 'Answered' && answer.value.state === 'Held'
  }

  forget(key: string): void {
    this.#answers.delete(key)
  }

  #get({ key, uid }: JobKey): Remembered | undefined {
    const known = this.#answers.get(key)
    return known?.uid === uid ? known : undefined
  }
}

export type JobKey = { readonly key: string; readonly uid: string }

/** Doubles while the answer stays of one kind. */
function pauseAfter(answer: Answer<Hold>, before: Remembered | undefined, jobs: number): number {
  const [minMs, maxMs] =
    answer.kind === 'Unreachable'
      ? [UNREACHABLE_RECHECK_MIN_MS, UNREACHABLE_RECHECK_MAX_MS]
      : [HOLD_RECHECK_MIN_MS, holdRecheckMaxMs(jobs)]
  return before?.answer.kind === answer.kind ? Math.min(maxMs, before.pauseMs * 2) : minMs
}

/** A few jobs that wait are asked for every few seconds; thousands share a number of questions. */
function holdRecheckMaxMs(jobs: number): number {
  const sharedMs = (jobs / HOLD_QUESTIONS_PER_SECOND) * 1000
  return clamp(sharedMs, [HOLD_RECHECK_MAX_MS, HOLD_RECHECK_CROWDED_MAX_MS])
}
