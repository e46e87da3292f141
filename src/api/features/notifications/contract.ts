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
  /** A refresh token was used twice: somebody may have stolen it, so its session has ended. */
  | { readonly kind: 'SessionReuse'; readonly values: Readonly<Record<string, never>> }

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
