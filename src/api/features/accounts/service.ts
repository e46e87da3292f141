import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import type { HoldCap } from '../../../shared/domain/account-change.ts'
import type { Ending, Entry, Hash } from '../../../shared/domain/account-entry.ts'
import { recipientsOf } from '../../../shared/domain/account-movement.ts'
import { sumOf, usableLots } from '../../../shared/domain/account.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import type { Clock } from '../../../shared/clock.ts'
import { endOperation, holdOperation, type JobCredits, lapseOperation } from './decisions.ts'
import {
  adjustOperation,
  issueOperation,
  recallOperation,
  receiveOperation,
  transferOperation,
} from './movements.ts'
import type {
  Adjustment,
  AdjustOutcome,
  EndOutcome,
  HoldOutcome,
  Issue,
  Recall,
  Transfer,
  TransferOutcome,
} from './outcomes.ts'
import type { AccountStore } from './store.ts'
import { type AccountWriter, openAccountWriter } from './writer.ts'

export type { EndOutcome, HoldOutcome, Issue } from './outcomes.ts'

/** Integer micro-credits. `available` may be spent; `held` is reserved by open jobs. */
export type Balance = {
  readonly accountId: string
  readonly availableMicroCredits: number
  readonly heldMicroCredits: number
  readonly spentMicroCredits: number
}

export type AccountService = {
  /** The caller's own account. */
  readonly balance: (caller: Caller) => Promise<Balance>
  /** Everything below is for the api itself, never behind a public route. */
  readonly balanceOf: (accountId: string) => Promise<Balance>
  /**
   * Creates credits on an account. Idempotent by id: a repeat tells when the first was. Errors:
   * `idempotency.mismatch` when the id was used for another amount or expiry,
   * `credits.too_many_lots`.
   */
  readonly issue: (issue: Issue) => Promise<Balance & { readonly issueTimeMs: number }>
  /**
   * Moves free credits to other accounts or back to the system, all or nothing; they keep their
   * expiry. What was moved has arrived when it returns. Idempotent by id.
   */
  readonly transfer: (transfer: Transfer) => Promise<TransferOutcome>
  /** The same with as much as is free, up to a maximum. */
  readonly recall: (recall: Recall) => Promise<TransferOutcome>
  /** Gives back what an entry charged or let lapse, once per entry. */
  readonly adjust: (adjustment: Adjustment) => Promise<AdjustOutcome>
  /** Takes in what another account sent; for the relay. */
  readonly receive: (accountId: string, sent: Entry) => Promise<void>
  readonly hold: (accountId: string, jobId: string, microCredits: number) => Promise<HoldOutcome>
  /** The same, unless its owner has as many open jobs as the cap allows. */
  readonly holdWithin: (cap: HoldCap, wish: JobCredits) => Promise<HoldOutcome>
  /** Charges at most what is held and gives the rest back. */
  readonly settle: (accountId: string, jobId: string, microCredits: number) => Promise<EndOutcome>
  readonly void: (accountId: string, jobId: string) => Promise<EndOutcome>
  readonly expire: (accountId: string, jobId: string) => Promise<EndOutcome>
  /** Takes away what has lapsed on one account; false when nothing has. */
  readonly lapse: (accountId: string) => Promise<boolean>
  /** Resolves when nothing waits to be written. */
  readonly idle: () => Promise<void>
}

export type AccountServiceDeps = {
  readonly store: AccountStore
  readonly clock: Clock
  readonly hash: Hash
  readonly random: () => number
  readonly pause: (ms: number) => Promise<void>
}

export function openAccountService(deps: AccountServiceDeps): AccountService {
  const { clock, hash } = deps
  const context = () => ({ nowMs: clock.nowMs(), hash })
  const writer = openAccountWriter({ ...deps, context })
  const end =
    (ending: Ending) =>
    async (accountId: string, jobId: string, microCredits = 0) =>
      await writer.run(endOperation(ending, { accountId, jobId, microCredits }))
  const balanceOf = async (accountId: string) => await readBalance(deps, accountId)
  return {
    balance: async (caller) => {
      requirePermission(caller, 'users.read_self')
      return await balanceOf(accountIdOf({ department: caller.department, user: caller.userId }))
    },
    balanceOf,
    issue: async (issue) => {
      const outcome = await writer.run(issueOperation(issue))
      if (outcome.kind === 'Mismatch') throw reusedIssue()
      if (outcome.kind === 'TooManyLots') throw tooManyLots()
      return { ...(await balanceOf(issue.accountId)), issueTimeMs: outcome.timeMs }
    },
    transfer: async (transfer) =>
      await deliver(writer, await writer.run(transferOperation(transfer))),
    recall: async (recall) => await deliver(writer, await writer.run(recallOperation(recall))),
    adjust: async (adjustment) => await writer.run(adjustOperation(adjustment)),
    receive: async (accountId, sent) => {
      await writer.run(receiveOperation(accountId, sent))
    },
    hold: async (accountId, jobId, microCredits) =>
      await writer.run(holdOperation({ accountId, jobId, microCredits })),
    holdWithin: async (cap, wish) => await writer.run(holdOperation({ ...wish, cap })),
    settle: end('Settle'),
    void: async (accountId, jobId) => await end('Void')(accountId, jobId),
    expire: async (accountId, jobId) => await end('Expire')(accountId, jobId),
    lapse: async (accountId) => await writer.run(lapseOperation(accountId)),
    idle: writer.idle,
  }
}

/** The second half of a transfer, at once; after a crash here the relay does it. */
async function deliver(writer: AccountWriter, outcome: TransferOutcome): Promise<TransferOutcome> {
  if (outcome.kind !== 'Moved' || outcome.sent === null) return outcome
  const { sent } = outcome
  await Promise.all(recipientsOf(sent).map((id) => writer.run(receiveOperation(id, sent))))
  return outcome
}

function reusedIssue(): AppError {
  return new AppError('idempotency.mismatch', 'this key issued another amount or expiry before')
}

function tooManyLots(): AppError {
  return new AppError('credits.too_many_lots', 'wait until some lots are used up or have lapsed')
}

/** `available` leaves out lots that have lapsed but are still to be booked off. */
async function readBalance({ store, clock }: AccountServiceDeps, id: string): Promise<Balance> {
  const { account } = await store.read(id)
  return {
    accountId: id,
    availableMicroCredits: sumOf(usableLots(account, clock.nowMs())),
    heldMicroCredits: account.totals.held,
    spentMicroCredits: account.totals.spent,
  }
}
