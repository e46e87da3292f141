import type { Language } from '../../shared/wire/text.ts'

/** Decimal credits, and when they lapse, in words of UTC; soonest first. */
type ExpiringCredits = {
  readonly department: string
  readonly lots: readonly { readonly credits: string; readonly time: string }[]
}

/** What each mail tells; each has a template in every language. */
export type MailContent =
  | { readonly template: 'SignUpCode'; readonly code: string; readonly minutes: number }
  /** Somebody tried to sign up with an address that has an account. */
  | { readonly template: 'AccountExists' }
  | { readonly template: 'PasswordResetCode'; readonly code: string; readonly minutes: number }
  /** Somebody asked to reset the password of an address without an account. */
  | { readonly template: 'NoAccount' }
  | { readonly template: 'EmailChangeCode'; readonly code: string; readonly minutes: number }
  /** To the old address. */
  | { readonly template: 'EmailChanged' }
  | { readonly template: 'PasswordChanged' }
  | { readonly template: 'Approved'; readonly name: string; readonly department: string }
  | { readonly template: 'Rejected'; readonly name: string; readonly department: string }
  /** To those who may decide. */
  | { readonly template: 'GuestWaits'; readonly name: string; readonly department: string }
  | {
      readonly template: 'Invited'
      readonly token: string
      readonly department: string
      readonly days: number
    }
  | { readonly template: 'SessionReuse' }
  | { readonly template: 'IdentityLinked'; readonly issuer: string }
  /** To a department's admins: so much of the month's budget is used. */
  | {
      readonly template: 'BudgetUsed'
      readonly department: string
      readonly percent: string
      readonly month: string
    }
  /** To whom credits belong that nobody has used. */
  | ({ readonly template: 'CreditsExpire' } & ExpiringCredits)
  /** The same for a department's own account, to its admins. */
  | ({ readonly template: 'DepartmentCreditsExpire' } & ExpiringCredits)

export type Mail = {
  /**
   * Says which fact is told, such as `approved:<user>:<revision>`: the same id is never sent as
   * two mails.
   */
  readonly id: string
  readonly to: string
  readonly language: Language
  readonly content: MailContent
}

export type Mailer = {
  /**
   * Stores the mail and returns; it is sent soon after, and again until the server takes it.
   * Takes the same time whatever the mail says.
   */
  readonly send: (mail: Mail) => Promise<void>
}
