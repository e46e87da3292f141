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

/** Who pays: with `user` that member's account in the department, without it the department's. */
export type AccountOwner = { readonly department: string; readonly user?: string | undefined }

/**
 * The `_id` of the account that pays for an owner's jobs. It belongs to one department for ever:
 * who moves to another department gets another account there.
 */
export function accountIdOf({ department, user }: AccountOwner): string {
  return user === undefined ? `department:${department}` : `member:${department}:${user}`
}

/** The reverse; null for what is no account id. Names have no colon. */
export function accountOwnerOf(accountId: string): AccountOwner | null {
  const [kind, department, user, ...rest] = accountId.split(':')
  if (department === undefined || department === '' || rest.length > 0) return null
  if (kind === 'department' && user === undefined) return { department }
  return kind === 'member' && user !== undefined && user !== '' ? { department, user } : null
}
