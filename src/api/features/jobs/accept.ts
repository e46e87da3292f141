import { assert, unreachable } from '../../../shared/assert.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { AppError, isAppError } from '../../../shared/errors.ts'
import type { AccountService, HoldOutcome } from '../accounts/service.ts'
import { holdCapOf, overCap, queueFull } from './job-caps.ts'
import type { JobRow } from './row.ts'
import type { JobStore } from './store.ts'

export type AcceptDeps = { readonly store: JobStore; readonly accounts: AccountService }

/**
 * The first three steps of a job: the row, the hold, the row as Pending. Each may be repeated, by
 * the same request, a second one with the same key, or the sweep, even at the same time.
 * Errors: `credits.insufficient`, `credits.queue_full`, `limit.queued_jobs`, `limit.running_jobs`;
 * then no row is left.
 */
export async function acceptRow(deps: AcceptDeps, draft: JobRow): Promise<JobRow> {
  const isOurs = await deps.store.insert(draft)
  const row = isOurs ? draft : ((await deps.store.get(draft._id)) ?? draft)
  return await continueAccept(deps, row)
}

/**
 * The same for a row that was there. It never makes the row again: whoever took it away has told
 * the asker that the job will not run.
 */
export async function continueAccept(deps: AcceptDeps, row: JobRow): Promise<JobRow> {
  if (row.state !== 'Accepting') return row
  const outcome = await hold(deps, row)
  if (outcome.kind !== 'Held') return await giveUp(deps, row, outcome)
  const change = { state: 'Pending', hold: 'Held' } as const
  const accepted = await deps.store.change(row._id, { states: ['Accepting'] }, change)
  return accepted ?? (await findWinner(deps, row))
}

async function hold({ store, accounts }: AcceptDeps, row: JobRow): Promise<HoldOutcome> {
  const { _id: jobId, accountId, price } = row
  const cap = await holdCapOf(store, row)
  if (cap === null) return await accounts.hold(accountId, jobId, price.microCredits)
  return await accounts.holdWithin(cap, { accountId, jobId, microCredits: price.microCredits })
}

type Refusal = Exclude<HoldOutcome, { kind: 'Held' }>

/** No hold, so no job: unless somebody else got the hold in the meantime. */
async function giveUp(deps: AcceptDeps, row: JobRow, outcome: Refusal): Promise<JobRow> {
  await deps.store.removeAccepting(row._id)
  const current = await deps.store.get(row._id)
  if (current !== null) return current
  throw refusalOf(row, outcome)
}

/** The row left Accepting under our hands: it was accepted, or given up and then our hold leaks. */
async function findWinner({ store, accounts }: AcceptDeps, row: JobRow): Promise<JobRow> {
  const current = await store.get(row._id)
  if (current !== null) return current
  await accounts.void(row.accountId, row._id)
  throw givenUp()
}

function refusalOf(row: JobRow, outcome: Refusal): AppError {
  switch (outcome.kind) {
    case 'Insufficient': {
      const missing = formatCredits(outcome.missingMicroCredits)
      const details = {
        missing,
        available: formatCredits(outcome.availableMicroCredits),
        price: formatCredits(row.price.microCredits),
      }
      const message = `the job costs ${details.price} credits; ${missing} are missing`
      return new AppError('credits.insufficient', message, { details })
    }
    case 'HoldLimit':
      return queueFull()
    case 'OverCap':
      assert(row.limits !== undefined && row.limits !== null, 'a cap comes from the row')
      return overCap(row.limits, outcome)
    case 'Ended':
      return givenUp()
    default:
      return unreachable(outcome)
  }
}

/** The id is spent: its hold has ended, so no job can ever run under it. */
function givenUp(): AppError {
  const message = 'the request was given up meanwhile; send it again'
  return new AppError('platform.unavailable', message, { details: { givenUp: true } })
}

/** Whether a request ended without a job, so that its idempotency key is free again. */
export function isRefusal(error: unknown): boolean {
  if (!isAppError(error)) return false
  return /^(credits|limit)\./.test(error.code) || error.details['givenUp'] === true
}
