import type { Actor } from './permissions.ts'

/** Who asks: the first argument of every service function that a person can reach. */
export type Caller = Actor

/** Who pays: with `user` that person's account, without it the department's. */
export type AccountOwner = { readonly department: string; readonly user?: string | undefined }

/** The `_id` of the account that pays for an owner's jobs. */
export function accountIdOf(owner: AccountOwner): string {
  return owner.user === undefined ? `department:${owner.department}` : `user:${owner.user}`
}
