import { assert } from '../../../shared/assert.ts'
import type { Account } from '../../../shared/domain/account.ts'
import type { Change, ChangeContext, Entry } from '../../../shared/domain/account-entry.ts'
import { AppError, isAppError } from '../../../shared/errors.ts'
import type { AccountSnapshot, AccountStore } from './store.ts'

/** What a decision sees: the account and those entries with the ids it asked for. */
export type Facts = {
  readonly account: Account
  readonly past: ReadonlyMap<string, Entry>
  readonly context: ChangeContext
}

/** An answer, and the change that makes it true; null when nothing has to change. */
export type Decision<Outcome> = { readonly outcome: Outcome; readonly change: Change | null }

export type AccountOperation<Outcome> = {
  readonly accountId: string
  /** Entries that the decision needs to know about, so that a repeat finds its first effect. */
  readonly entryIds: readonly string[]
  readonly decide: (facts: Facts) => Decision<Outcome>
}

export type AccountWriter = {
  /** Decides and commits. Errors: `platform.unavailable`, also under overload: nothing is decided. */
  readonly run: <Outcome>(operation: AccountOperation<Outcome>) => Promise<Outcome>
}

export type AccountWriterDeps = {
  readonly store: AccountStore
  readonly context: () => ChangeContext
  /** Waits between tries. */
  readonly pause: (ms: number) => Promise<void>
  readonly random: () => number
}

const limits = { tries: 40, pauseMsMax: 250, group: 64, waiting: 2000, outbox: 5000 } as const
const retryAfterSeconds = 5

type Waiting = {
  readonly accountId: string
  readonly entryIds: readonly string[]
  /** Decides, remembers the answer and returns the change. */
  readonly apply: (facts: Facts) => Change | null
  readonly finish: () => void
  readonly fail: (error: unknown) => void
}

/**
 * Requests to one account inside this process are committed as a group: one read, one
 * compare-and-set. Between processes the compare-and-set decides; a lost answer is found again by
 * re-reading, because every decision looks for the entry of its first effect.
 */
export function openAccountWriter(deps: AccountWriterDeps): AccountWriter {
  const queues = new Map<string, Waiting[]>()
  return {
    run: async (operation) =>
      await new Promise((resolve, reject) => {
        const waiting = toWaiting(operation, resolve, reject)
        const queue = queues.get(operation.accountId)
        if (queue === undefined) {
          queues.set(operation.accountId, [waiting])
          void drain(deps, queues, operation.accountId).catch(reject)
        } else if (queue.length >= limits.waiting) {
          reject(overloaded('too many requests wait for this account'))
        } else {
          queue.push(waiting)
        }
      }),
  }
}

function toWaiting<Outcome>(
  operation: AccountOperation<Outcome>,
  resolve: (outcome: Outcome) => void,
  fail: (error: unknown) => void,
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
    fail,
  }
}

/** Forgets the queue in the same step in which it finds it empty: nothing can be pushed between. */
async function drain(
  deps: AccountWriterDeps,
  queues: Map<string, Waiting[]>,
  accountId: string,
): Promise<void> {
  const queue = queues.get(accountId) ?? []
  while (queue.length > 0) await settleGroup(deps, queue.splice(0, limits.group))
  queues.delete(accountId)
}

/** A failing decision must not take its neighbours along: they are then tried one by one. */
async function settleGroup(deps: AccountWriterDeps, group: readonly Waiting[]): Promise<void> {
  try {
    await commitGroup(deps, group)
    for (const { finish } of group) finish()
  } catch (error) {
    if (group.length === 1 || isAppError(error)) {
      for (const { fail } of group) fail(error)
      return
    }
    for (const waiting of group) await settleGroup(deps, [waiting])
  }
}

async function commitGroup(deps: AccountWriterDeps, group: readonly Waiting[]): Promise<void> {
  let lastError: unknown
  for (let attempt = 1; attempt <= limits.tries; attempt += 1) {
    try {
      if (await tryCommit(deps, group)) return
    } catch (error) {
      if (!isAppError(error, 'platform.unavailable') || isOverload(error)) throw error
      lastError = error
    }
    // Full jitter: those who collided must not meet again. About five seconds in all.
    await deps.pause(deps.random() * Math.min(limits.pauseMsMax, 5 * 2 ** attempt))
  }
  throw new AppError('platform.unavailable', 'the account is too busy or the database is away', {
    cause: lastError,
  })
}

async function tryCommit(deps: AccountWriterDeps, group: readonly Waiting[]): Promise<boolean> {
  const accountId = group[0]?.accountId
  assert(accountId !== undefined, 'a group has an operation')
  const before = await deps.store.read(accountId)
  const entryIds = [...new Set(group.flatMap((waiting) => waiting.entryIds))]
  const past = new Map(await deps.store.findEntries(before, entryIds))
  const { account, added } = fold(before, past, { group, context: deps.context() })
  if (added.length === 0) return true
  if (before.outbox.length + added.length > limits.outbox) {
    throw overloaded('the ledger is behind; try again in a moment')
  }
  return await deps.store.write(before, account, added)
}

type Fold = { readonly group: readonly Waiting[]; readonly context: ChangeContext }

/** Each decision sees the changes of those before it. `past` grows along. */
function fold(before: AccountSnapshot, past: Map<string, Entry>, { group, context }: Fold) {
  let account = before.account
  const added: Entry[] = []
  for (const { apply } of group) {
    const change = apply({ account, past, context })
    if (change === null) continue
    assert(!past.has(change.entry._id), `entry ${change.entry._id} is written once`)
    account = change.account
    past.set(change.entry._id, change.entry)
    added.push(change.entry)
  }
  return { account, added }
}

/** Never a `credits` code: those say that the job was refused, and here nobody has looked at it. */
function overloaded(message: string): AppError {
  return new AppError('platform.unavailable', message, { retryAfterSeconds })
}

/** Trying again at once would only add to it; a database that is away never says when to come. */
function isOverload({ retryAfterSeconds: seconds }: AppError): boolean {
  return seconds !== undefined
}
