import type { Clock } from '../../../shared/clock.ts'
import type { Origin } from '../../../shared/domain/caller.ts'
import type {
  CodeSent,
  PasswordResetCodeRequest,
  PasswordResetRequest,
} from '../../../shared/wire/sign-ups.ts'
import { addressKey } from '../../../shared/wire/text.ts'
import type { Mailer } from '../../mail/mailer.ts'
import { findAddressee } from '../codes/addressee.ts'
import { codeMinutes, codeSent } from '../codes/limits.ts'
import { requireHardPassword } from '../codes/new-password.ts'
import { type Codes, invalidCode } from '../codes/service.ts'
import type { Passwords } from '../sessions/passwords.ts'
import { decidePassword } from '../users/decisions.ts'
import type { UserDirectory } from '../users/directory.ts'
import type { PersonChanges } from '../users/person-changes.ts'
import type { UserRow } from '../users/store.ts'

/** A new password for who reads the mail of an account. Open to everybody. */
export type PasswordResetService = {
  /**
   * Mails a code, or to an address without an active account just that. Answers and works the same
   * for both. Errors: `rate.limited`.
   */
  readonly sendCode: (request: PasswordResetCodeRequest, origin: Origin) => Promise<CodeSent>
  /**
   * Sets the password and ends all sessions; also for somebody who had none and signs in
   * elsewhere. Errors: `request.invalid` for a password that is easy to guess, `code.invalid`,
   * `rate.limited` while too many sign in.
   */
  readonly reset: (request: PasswordResetRequest, origin: Origin) => Promise<void>
}

export type PasswordResetParts = {
  readonly codes: Codes
  readonly directory: UserDirectory
  readonly personChanges: PersonChanges
  readonly passwords: Pick<Passwords, 'hash'>
  readonly mailer: Mailer
  readonly clock: Clock
  readonly newId: () => string
}

export function createPasswordResetService(parts: PasswordResetParts): PasswordResetService {
  const { codes, passwords, personChanges, mailer, newId } = parts
  return {
    sendCode: async ({ email, language }, { ip }) => {
      await codes.countSend({ email, ip })
      const known = await findActive(parts, email)
      const code = await codes.issue({ purpose: 'PasswordReset', email })
      await mailer.send({
        id: `password-reset-code:${newId()}`,
        to: email,
        language: known?.language ?? language,
        content:
          known === null
            ? { template: 'NoAccount' }
            : { template: 'PasswordResetCode', code, minutes: codeMinutes },
      })
      return codeSent
    },
    reset: async ({ email, code, password }, origin) => {
      requireHardPassword(password, { email, name: '' })
      const right = await codes.check({ purpose: 'PasswordReset', email }, code)
      const known = await findActive(parts, email)
      if (known === null) throw invalidCode()
      // From here on the name tells its owner nothing new.
      requireHardPassword(password, known)
      const passwordHash = await passwords.hash(password, origin.ip)
      await codes.use(right)
      const { _id: userId, role, department } = known
      // With it the end of all sessions and a mail are stored: a crash loses neither.
      await personChanges.apply(userId, { userId, role, department, origin }, (row) => {
        if (!stillHas(row, email)) throw invalidCode()
        return { ...decidePassword(passwordHash, null), action: 'user.password_reset' }
      })
    },
  }
}

/** Somebody who is disabled is nobody here: their password would help nobody. */
async function findActive(parts: PasswordResetParts, email: string): Promise<UserRow | null> {
  const row = await findAddressee(parts, email)
  return row?.state === 'Active' ? row : null
}

function stillHas(row: UserRow, email: string): boolean {
  return row.state === 'Active' && addressKey(row.email) === addressKey(email)
}
