import type { Mail } from '../../mail/mailer.ts'
import type { Notice } from '../notifications/contract.ts'
import type { SessionEnd } from '../sessions/contract.ts'

/**
 * What must follow a change of a person in other collections. It is stored in the same write as
 * the change, so that a crash right after it loses nothing; each is safe to do twice.
 */
export type Errand = { readonly _id: string } & (
  | {
      readonly kind: 'EndSessions'
      readonly reason: SessionEnd
      /** The session that asked for it stays. */
      readonly keepSessionId: string | null
    }
  | { readonly kind: 'ReleaseIdentities' }
  /** One that the person has given up; kept when it is theirs again by now. */
  | { readonly kind: 'ReleaseIdentity'; readonly identityId: string }
  /** What is free on the person's account goes back to the department that they leave. */
  | { readonly kind: 'ReturnCredits'; readonly accountId: string }
  | { readonly kind: 'SendMail'; readonly mail: Mail }
  | { readonly kind: 'Notify'; readonly notice: Notice }
)
