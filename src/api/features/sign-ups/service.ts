import type { Clock } from '../../../shared/clock.ts'
import type { Origin } from '../../../shared/domain/caller.ts'
import { AppError } from '../../../shared/errors.ts'
import type { Page, PageQuery } from '../../../shared/wire/pages.ts'
import type { SessionView } from '../../../shared/wire/sessions.ts'
import type {
  CodeSent,
  OpenDepartment,
  SignUpCodeRequest,
  SignUpRequest,
} from '../../../shared/wire/sign-ups.ts'
import type { Mailer } from '../../mail/mailer.ts'
import { pageOf } from '../../pages.ts'
import { findAddressee } from '../codes/addressee.ts'
import { codeMinutes, codeSent } from '../codes/limits.ts'
import { requireHardPassword } from '../codes/new-password.ts'
import { type Codes, invalidCode } from '../codes/service.ts'
import type { DepartmentStore } from '../departments/store.ts'
import type { SessionKeeper } from '../sessions/contract.ts'
import type { Passwords } from '../sessions/passwords.ts'
import type { UserDirectory } from '../users/directory.ts'
import { makeGuest, type NewGuestParts } from '../users/new-guests.ts'
import type { UserRow } from '../users/store.ts'

/** How somebody without an account gets one. Open to everybody. */
export type SignUpService = {
  /**
   * Mails a code, or to somebody who has an account just that. Answers and works the same for
   * both. Errors: `rate.limited`.
   */
  readonly sendCode: (request: SignUpCodeRequest, origin: Origin) => Promise<CodeSent>
  /**
   * Makes a guest and signs them in. Errors: `request.invalid` for a password that is easy to
   * guess, `department.not_found`, `code.invalid`, `rate.limited` while too many sign in.
   */
  readonly signUp: (request: SignUpRequest, origin: Origin) => Promise<SessionView>
  readonly listDepartments: (query: PageQuery) => Promise<Page<OpenDepartment>>
}

export type SignUpParts = NewGuestParts & {
  readonly codes: Codes
  readonly directory: UserDirectory
  readonly departments: Pick<DepartmentStore, 'find' | 'list'>
  readonly passwords: Pick<Passwords, 'hash'>
  readonly sessions: Pick<SessionKeeper, 'start'>
  readonly mailer: Mailer
  readonly clock: Clock
}

export function createSignUpService(parts: SignUpParts): SignUpService {
  return {
    sendCode: async (request, origin) => await sendCode(parts, request, origin),
    signUp: async (request, origin) => {
      requireHardPassword(request.password, request)
      await requireDepartment(parts, request.department)
      const subject = { purpose: 'SignUp', email: request.email } as const
      const right = await parts.codes.check(subject, request.code)
      // Before the code is used up: hashing may have to refuse when too many sign in at once.
      const passwordHash = await parts.passwords.hash(request.password, origin.ip)
      await parts.codes.use(right)
      const guest = await createGuest(parts, { request, passwordHash, origin })
      return await parts.sessions.start({ userId: guest._id, method: 'SignUp', origin })
    },
    listDepartments: async (query) => {
      const rows = await parts.departments.list()
      const open = rows.map(({ _id, displayName }) => ({ name: _id, displayName }))
      return pageOf(open, query, ({ name }) => name)
    },
  }
}

/** A known address gets a code too, which nobody is told: so both do the same. */
async function sendCode(
  parts: SignUpParts,
  { email, language }: SignUpCodeRequest,
  { ip }: Origin,
): Promise<CodeSent> {
  const { codes, mailer, newId } = parts
  await codes.countSend({ email, ip })
  const known = await findAddressee(parts, email)
  const code = await codes.issue({ purpose: 'SignUp', email })
  await mailer.send({
    id: `sign-up-code:${newId()}`,
    to: email,
    language: known?.language ?? language,
    content:
      known === null
        ? { template: 'SignUpCode', code, minutes: codeMinutes }
        : { template: 'AccountExists' },
  })
  return codeSent
}

async function requireDepartment({ departments }: SignUpParts, name: string): Promise<void> {
  if ((await departments.find(name)) !== null) return
  throw new AppError('department.not_found', 'there is no department of this name')
}

type NewGuest = {
  readonly request: SignUpRequest
  readonly passwordHash: string
  readonly origin: Origin
}

async function createGuest(
  parts: SignUpParts,
  { request, passwordHash, origin }: NewGuest,
): Promise<UserRow> {
  const { email, name, language, department } = request
  const guest = await makeGuest(parts, { email, name, language, department, passwordHash }, origin)
  // Nobody knows the code that was made for an address with an account, but it can be guessed.
  if (guest === null) throw invalidCode()
  return guest
}
