import { accountIdOf, type Caller } from '../../../shared/domain/caller.ts'
import type { HoldCap } from '../../../shared/domain/account-change.ts'
import { type Ending, type Hash } from '../../../shared/domain/account-entry.ts'
import { usableLots } from '../../../shared/domain/account.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import type { Clock } from '../../../shared/clock.ts'
import {
  endOperation,
  holdOperation,
  issueOperation,
  type JobCredits,
  lapseOperation,
} from './decisions.ts'
import type { EndOutcome, HoldOutcome, Issue } from './outcomes.ts'
import type { AccountStore } from './store.ts'
import { openAccountWriter } from './writer.ts'

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
   * `idempotency.mismatch` when the id was used for another amount or expiry.
   */
  readonly issue: (issue: Issue) => Promise<Balance & { readonly issueTimeMs: number }>
  readonly hold: (accountId: string, jobId: string, microCredits: number) => Promise<HoldOutcome>
  /** The same, unless its owner has as many open jobs as the cap allows. */
  readonly holdWithin: (cap: HoldCap, wish: JobCredits) => Promise<HoldOutcome>
  /** Charges at most what is held and gives the rest back. */
  readonly settle: (accountId: string, jobId: string, microCredits: number) => Promise<EndOutcome>
  readonly void: (accountId: string, jobId: string) => Promise<EndOutcome>
  readonly expire: (accountId: string, jobId: string) => Promise<EndOutcome>
  /** Takes away what has lapsed on one account; returns how many lots. */
  readonly lapse: (accountId: string) => Promise<number>
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
      return { ...(await balanceOf(issue.accountId)), issueTimeMs: outcome.timeMs }
    },
    hold: async (accountId, jobId, microCredits) =>
      await writer.run(holdOperation({ accountId, jobId, microCredits })),
    holdWithin: async (cap, wish) => await writer.run(holdOperation({ ...wish, cap })),
    settle: end('Settle'),
    void: async (accountId, jobId) => await end('Void')(accountId, jobId),
    expire: async (accountId, jobId) => await end('Expire')(accountId, jobId),
    lapse: async (accountId) => {
      let lots = 0
      while (await writer.run(lapseOperation(accountId))) lots += 1
      return lots
    },
  }
}

function reusedIssue(): AppError {
  return new AppError('idempotency.mismatch', 'this key issued another amount or expiry before')
}

/** `available` leaves out lots that have lapsed but are still to be booked off. */
async function readBalance({ store, clock }: AccountServiceDeps, id: string): Promise<Balance> {
  const { account } = await store.read(id)
  const usable = usableLots(account, clock.nowMs())
  return {
    accountId: id,
    availableMicroCredits: usable.reduce((total, lot) => total + lot.microCredits, 0),
    heldMicroCredits: account.totals.held,
    spentMicroCredits: account.totals.spent,
  }
}
