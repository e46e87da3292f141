import { assert } from '../../../shared/assert.ts'
import { AppError } from '../../../shared/errors.ts'
import type { AccountOperation, Decision, Facts } from './operation.ts'

/** An operation in the queue, with the one who waits for its answer. */
export type Waiting = {
  readonly accountId: string
  readonly entryIds: AccountOperation<unknown>['entryIds']
  /** Decides, remembers the answer and gives the change that makes it true. */
  readonly apply: (facts: Facts) => Decision<unknown>['change']
  readonly finish: () => void
  readonly fail: (error: unknown) => void
  readonly triesLeft: number
}

type Asker<Outcome> = {
  readonly resolve: (outcome: Outcome) => void
  readonly reject: (error: unknown) => void
  readonly triesLeft: number
}

export function toWaiting<Outcome>(
  operation: AccountOperation<Outcome>,
  { resolve, reject, triesLeft }: Asker<Outcome>,
): Waiting {
  let decision: Decision<Outcome> | null = null
  return {
    accountId: operation.accountId,
    entryIds: operation.entryIds,
    apply: (facts) => {
      decision = operation.decide(facts)
      return decision.change
    },
    finish: () => {
      assert(decision !== null, 'a committed operation was decided')
      resolve(decision.outcome)
    },
    fail: reject,
    triesLeft,
  }
}

export function unavailable(cause: unknown): AppError {
  const message = 'the account is too busy or the database is away'
  return new AppError('platform.unavailable', message, { cause })
}

const retryAfterSeconds = 5

/** Never a `credits` code: those say that the job was refused, and here nobody has looked at it. */
export function overloaded(message: string): AppError {
  return new AppError('platform.unavailable', message, { retryAfterSeconds })
}
