import type { Account } from '../../../shared/domain/account.ts'
import type { Change, ChangeContext, Entry } from '../../../shared/domain/account-entry.ts'

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
  /**
   * Entries that the decision needs to know about on this account, so that a repeat finds its first
   * effect. Asked again whenever the account has changed.
   */
  readonly entryIds: (account: Account) => readonly string[]
  /** Pure and total: it may be asked several times before an answer counts. */
  readonly decide: (facts: Facts) => Decision<Outcome>
}

export function unchanged<Outcome>(outcome: Outcome): Decision<Outcome> {
  return { outcome, change: null }
}
