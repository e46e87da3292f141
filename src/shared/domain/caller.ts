import type { Actor } from './permissions.ts'

/** Who asks: the first argument of every service function that a person can reach. */
export type Caller = Actor & {
  /** The session behind the request; null for an API key, absent outside of HTTP. */
  readonly sessionId?: string | null | undefined
  /** The API key behind the request; absent for everybody else. */
  readonly keyId?: string | undefined
  /** Where the request came from, for the audit log; absent outside of HTTP. */
  readonly origin?: Origin | undefined
}

/** From where a request came. */
export type Origin = {
  readonly ip: string
  /** Cut to 256 characters. */
  readonly userAgent: string
  readonly requestId: string
}

/** Who pays: with `user` that person's account, without it the department's. */
export type AccountOwner = { readonly department: string; readonly user?: string | undefined }

/** The `_id` of the account that pays for an owner's jobs. */
export function accountIdOf(owner: AccountOwner): string {
  return owner.user === undefined ? `department:${owner.department}` : `user:${owner.user}`
}
