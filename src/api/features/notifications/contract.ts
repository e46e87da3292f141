import type { Tier } from '../../../shared/domain/membership.ts'
import type { Role } from '../../../shared/domain/permissions.ts'

/** What happened, for the one whom it concerns. Never a secret, never a mail address. */
export type Fact =
  | { readonly kind: 'AccountApproved'; readonly values: { readonly department: string } }
  | { readonly kind: 'RoleChanged'; readonly values: { readonly role: Role } }
  | { readonly kind: 'DepartmentChanged'; readonly values: { readonly department: string } }
  | { readonly kind: 'MembershipChanged'; readonly values: { readonly tier: Tier } }
  /** For those who may decide about a guest. */
  | {
      readonly kind: 'GuestWaits'
      readonly values: {
        readonly userId: string
        readonly name: string
        readonly department: string
      }
    }
  /** For the owner of credits that lapse soon: how many, and when the first of them. */
  | {
      readonly kind: 'CreditsExpire'
      readonly values: {
        readonly department: string
        /** Whose account: `Department` or `Member`. */
        readonly account: string
        readonly credits: string
        readonly expiresTime: string
      }
    }
  /** For admins: how much of a month's budget is used. */
  | {
      readonly kind: 'BudgetUsed'
      readonly values: {
        readonly department: string
        readonly percent: string
        readonly month: string
      }
    }
  | { readonly kind: 'CreditsReceived' | 'CreditsRevoked'; readonly values: MovedCredits }
  /** For those who may decide about it. */
  | {
      readonly kind: 'CreditsRequested'
      readonly values: MovedCredits & { readonly requestId: string; readonly userId: string }
    }
  | {
      readonly kind: 'CreditRequestApproved' | 'CreditRequestDeclined'
      readonly values: MovedCredits & { readonly requestId: string }
    }
  /** A refresh token was used twice: somebody may have stolen it, so its session has ended. */
  | { readonly kind: 'SessionReuse'; readonly values: Readonly<Record<string, never>> }

/** `account` says whose account of the department: its own, or that of the one who is told. */
export type MovedCredits = {
  readonly account: 'Department' | 'Member'
  readonly department: string
  /** Decimal credits. */
  readonly credits: string
  /** Empty when none was given. */
  readonly reason: string
}

export type Notice = {
  /**
   * A ULID of the fact, such as its audit entry's id: the same at every repetition, and it may be
   * the same for all people who are told.
   */
  readonly id: string
  /** Who is told. */
  readonly userId: string
  readonly fact: Fact
}

/** How other features tell people something. */
export type Notifier = {
  /**
   * Keeps the notice and shows it in the person's open consoles. Safe to repeat: the second time
   * nothing happens. Errors: `platform.unavailable`.
   */
  readonly notify: (notice: Notice) => Promise<void>
}
