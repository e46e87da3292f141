import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import type {
  CodeSent,
  EmailChangeCodeRequest,
  EmailChangeRequest,
} from '../../../shared/wire/sign-ups.ts'
import type { ProfileView } from '../../../shared/wire/users.ts'
import type { Mailer } from '../../mail/mailer.ts'
import { findAddressee } from '../codes/addressee.ts'
import { codeMinutes, codeSent } from '../codes/limits.ts'
import { type Codes, invalidCode } from '../codes/service.ts'
import { type OwnPasswordParts, requireOwnPassword } from '../sessions/own-password.ts'
import type { Decision } from '../users/decisions.ts'
import type { UserDirectory } from '../users/directory.ts'
import { emailIdentity } from '../users/identities.ts'
import type { PersonChanges } from '../users/person-changes.ts'
import type { UserService } from '../users/service.ts'
import type { UserRow } from '../users/store.ts'
import { maskAddress } from './mask-address.ts'

/** How somebody gets another address. */
export type EmailChangeService = {
  /**
   * Mails a code to the new address, or when somebody else has it just that; the caller sees no
   * difference. Errors: `auth.invalid_credentials` for a wrong password or for who has none,
   * `rate.limited`.
   */
  readonly sendCode: (caller: Caller, request: EmailChangeCodeRequest) => Promise<CodeSent>
  /** Proves the new address and tells the old one. Errors: `code.invalid`. */
  readonly change: (caller: Caller, request: EmailChangeRequest) => Promise<ProfileView>
}

export type EmailChangeParts = OwnPasswordParts & {
  readonly codes: Codes
  readonly directory: UserDirectory
  readonly personChanges: PersonChanges
  readonly profiles: Pick<UserService, 'getProfile'>
  readonly mailer: Mailer
  readonly clock: Clock
  readonly newId: () => string
}

export function createEmailChangeService(parts: EmailChangeParts): EmailChangeService {
  const { codes, mailer, profiles, newId } = parts
  return {
    sendCode: async (caller, { email, password }) => {
      requirePermission(caller, 'users.update_self')
      const self = await requireOwnPassword(parts, caller, password)
      await codes.countSend({ email, ip: caller.origin?.ip })
      const known = await findAddressee(parts, email)
      const isTaken = known !== null && known._id !== self._id
      const code = await codes.issue({ purpose: 'EmailChange', email, userId: self._id })
      await mailer.send({
        id: `email-change-code:${newId()}`,
        to: email,
        language: isTaken ? known.language : self.language,
        content: isTaken
          ? { template: 'AccountExists' }
          : { template: 'EmailChangeCode', code, minutes: codeMinutes },
      })
      return codeSent
    },
    change: async (caller, { email, code }) => {
      requirePermission(caller, 'users.update_self')
      const { userId } = caller
      await codes.use(await codes.check({ purpose: 'EmailChange', email, userId }, code))
      await changeAddress(parts, caller, email)
      return await profiles.getProfile(caller)
    },
  }
}

/**
 * First the new identity, then the row, then the old identity goes. A crash after the first leaves
 * the person two ways to sign in until they ask again; one after the second an errand.
 */
async function changeAddress(
  { directory, personChanges, clock }: EmailChangeParts,
  caller: Caller,
  email: string,
): Promise<void> {
  const { userId } = caller
  const claim = async (address: string) =>
    await directory.identities.claim({
      _id: emailIdentity(address),
      kind: 'Email',
      userId,
      creationTimeMs: clock.nowMs(),
    })
  if ((await claim(email)).userId !== userId) throw invalidCode()
  await personChanges.apply(userId, caller, (row) => decideEmail(row, email))
  // Another change at the same moment may have given up the address that the person has now.
  const row = await directory.find(userId)
  if (row?.state === 'Active') await claim(row.email)
}

/** Null when the person has this very address already. */
function decideEmail(row: UserRow, email: string): Decision | null {
  if (row.state !== 'Active') throw invalidCode()
  if (row.email === email) return null
  const former = emailIdentity(row.email)
  return {
    action: 'user.email_changed',
    set: { email },
    follows: [
      ...(former === emailIdentity(email)
        ? []
        : [{ kind: 'ReleaseIdentity', identityId: former } as const]),
      { kind: 'Tell', content: { template: 'EmailChanged' } },
    ],
    audited: { before: { email: maskAddress(row.email) }, after: { email: maskAddress(email) } },
  }
}
