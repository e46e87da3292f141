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
  /** Keys of the jobs that were last told to wait. */
  readonly #waiting = new Set<string>()

  /** The last answer for this job, as long as it is too early to ask again. */
  recall(job: JobKey, nowMs: number): HoldAnswer | undefined {
    const known = this.#get(job)
    return known !== undefined && nowMs < known.askAgainMs ? known : undefined
  }

  remember(job: JobKey, answer: Answer<Hold>, nowMs: number): HoldAnswer {
    if (isWaiting(answer)) this.#waiting.add(job.key)
    else this.#waiting.delete(job.key)
    const pauseMs = pauseAfter(answer, this.#get(job), this.#waiting.size)
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
    this.#waiting.delete(key)
  }

  #get({ key, uid }: JobKey): Remembered | undefined {
    const known = this.#answers.get(key)
    return known?.uid === uid ? known : undefined
  }
}

export type JobKey = { readonly key: string; readonly uid: string }

function isWaiting(answer: Answer<Hold>): boolean {
  return answer.kind === 'Answered' && answer.value.state === 'Waiting'
}

/** Doubles while the answer stays of one kind. */
function pauseAfter(answer: Answer<Hold>, before: Remembered | undefined, waiting: number): number {
  const [minMs, maxMs] =
    answer.kind === 'Unreachable'
      ? [UNREACHABLE_RECHECK_MIN_MS, UNREACHABLE_RECHECK_MAX_MS]
      : [HOLD_RECHECK_MIN_MS, holdRecheckMaxMs(waiting)]
  return before?.answer.kind === answer.kind ? Math.min(maxMs, before.pauseMs * 2) : minMs
}

/** The more jobs wait, the longer each of them, within bounds. */
function holdRecheckMaxMs(waiting: number): number {
  const sharedMs = (waiting / HOLD_QUESTIONS_PER_SECOND) * 1000
  return clamp(sharedMs, [HOLD_RECHECK_MAX_MS, HOLD_RECHECK_CROWDED_MAX_MS])
}
