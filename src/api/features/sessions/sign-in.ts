import type { Origin } from '../../../shared/domain/caller.ts'
import { AppError } from '../../../shared/errors.ts'
import type { SessionRequest, SessionView } from '../../../shared/wire/sessions.ts'
import { addressKey } from '../../../shared/wire/text.ts'
import type { AuditEntry } from '../audit-log/entry.ts'
import type { UserRow } from '../users/store.ts'
import { beginSession } from './begin.ts'
import type { SessionParts } from './parts.ts'
import type { Passwords } from './passwords.ts'
import type { SignInAttempts } from './sign-in-attempts.ts'

export type SignInParts = SessionParts & {
  readonly passwords: Pick<Passwords, 'verifyFound'>
  readonly attempts: SignInAttempts
}

/** An unknown address, a wrong password and a disabled person do the same work and look the same. */
export async function signIn(
  parts: SignInParts,
  { email, password }: SessionRequest,
  origin: Origin,
): Promise<SessionView> {
  const find = async () => await findByEmail(parts, email, origin)
  const { person: user, matches } = await parts.passwords.verifyFound(password, find, origin.ip)
  if (user === null || !matches || user.state !== 'Active') {
    const target = targetOf(parts, user, email)
    await parts.trail.append('sign-in', { action: 'session.refused', target, origin })
    throw new AppError('auth.invalid_credentials', 'no account has this e-mail and password')
  }
  await parts.attempts.succeeded(email, origin.ip)
  const { _id: userId, passwordHash } = user
  return await beginSession(
    parts,
    { userId, method: 'Password', origin },
    (now) => now.passwordHash === passwordHash,
  )
}

/** Counted before anything is looked at, so that many tries at once cannot slip by. */
async function findByEmail(
  { attempts, directory }: SignInParts,
  email: string,
  { ip }: Origin,
): Promise<UserRow | null> {
  await attempts.begin(email, ip)
  const user = await directory.findByEmail(email)
  // The read that an unknown address would otherwise be spared.
  if (user === null) await directory.find('u-nobody')
  return user
}

/** An address that nobody has is not written down: its digest still shows that tries belong together. */
function targetOf(
  { seal }: SignInParts,
  user: UserRow | null,
  email: string,
): AuditEntry['target'] {
  if (user !== null) return { kind: 'User', id: user._id, department: user.department }
  const digest = seal.digest('refused address', addressKey(email))
  return { kind: 'Address', id: digest.slice(0, 24), department: null }
}
