import type { Caller } from '../../../shared/domain/caller.ts'
import { AppError } from '../../../shared/errors.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import type { UserDirectory } from '../users/directory.ts'
import type { UserRow } from '../users/store.ts'
import type { Passwords } from './passwords.ts'
import type { SignInAttempts } from './sign-in-attempts.ts'

export type OwnPasswordParts = {
  readonly directory: Pick<UserDirectory, 'find'>
  readonly passwords: Pick<Passwords, 'verifyFound'>
  readonly attempts: SignInAttempts
  readonly trail: Pick<AuditTrail, 'append'>
}

/**
 * The caller, once they have shown their password again: a session that lies open must not be
 * enough to take an account over. Tries count and are refused as those to sign in.
 * Errors: `auth.invalid_credentials`, also for who has none, `rate.limited`.
 */
export async function requireOwnPassword(
  { directory, passwords, attempts, trail }: OwnPasswordParts,
  caller: Caller,
  password: string,
): Promise<UserRow> {
  const ip = caller.origin?.ip ?? ''
  const find = async (): Promise<UserRow | null> => {
    const self = await directory.find(caller.userId)
    if (self !== null) await attempts.begin(self.email, ip)
    return self
  }
  const { person: self, matches } = await passwords.verifyFound(password, find, ip)
  if (self !== null && matches) {
    await attempts.succeeded(self.email, ip)
    return self
  }
  const target = { kind: 'User', id: caller.userId, department: caller.department }
  await trail.append(caller, { action: 'session.refused', target })
  throw wrongPassword()
}

export function wrongPassword(): AppError {
  return new AppError('auth.invalid_credentials', 'the password is not right')
}
