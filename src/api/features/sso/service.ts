import type { Clock } from '../../../shared/clock.ts'
import type { Origin } from '../../../shared/domain/caller.ts'
import { AppError, invalidRequest } from '../../../shared/errors.ts'
import type { SessionView } from '../../../shared/wire/sessions.ts'
import type { IssuerList, SsoRequest } from '../../../shared/wire/sso.ts'
import { line } from '../../../shared/wire/text.ts'
import type { Mailer } from '../../mail/mailer.ts'
import { findAddressee } from '../codes/addressee.ts'
import type { DepartmentStore } from '../departments/store.ts'
import type { SessionKeeper } from '../sessions/contract.ts'
import type { UserDirectory } from '../users/directory.ts'
import { ssoIdentity } from '../users/identities.ts'
import { makeGuest, type NewGuestParts } from '../users/new-guests.ts'
import type { UserRow } from '../users/store.ts'
import type { IdTokens, Subject } from './id-token.ts'
import type { Issuer } from './issuers.ts'

export type SsoService = {
  readonly listIssuers: () => IssuerList
  /**
   * Open to everybody. The first time it links a verified address to its account, or makes a guest.
   * Errors: `sso.unknown_issuer`, `sso.refused`; `request.invalid` naming `/department` when a
   * first sign-in asks for none or for one that is not there.
   */
  readonly signIn: (request: SsoRequest, origin: Origin) => Promise<SessionView>
}

export type SsoParts = NewGuestParts & {
  readonly providers: readonly { readonly issuer: Issuer; readonly idTokens: IdTokens }[]
  readonly directory: UserDirectory
  readonly departments: Pick<DepartmentStore, 'find'>
  readonly keeper: Pick<SessionKeeper, 'start'>
  readonly mailer: Mailer
  readonly clock: Clock
}

export function createSsoService(parts: SsoParts): SsoService {
  const providers = new Map(parts.providers.map((provider) => [provider.issuer.name, provider]))
  return {
    listIssuers: () => ({ items: parts.providers.map(({ issuer }) => toView(issuer)) }),
    signIn: async (request, origin) => {
      const provider = providers.get(request.issuer)
      if (provider === undefined) {
        throw new AppError('sso.unknown_issuer', `there is no provider ${request.issuer}`)
      }
      const subject = await provider.idTokens.verify(request)
      const person = await findOrMake(parts, subject, { request, origin })
      if (person.state !== 'Active') throw refused('this person may not sign in')
      return await parts.keeper.start({ userId: person._id, method: 'Sso', origin })
    },
  }
}

type Asked = { readonly request: SsoRequest; readonly origin: Origin }

/** By subject, else by verified address; an address that an issuer only claims proves nothing. */
async function findOrMake(
  parts: SsoParts,
  subject: Subject,
  { request, origin }: Asked,
): Promise<UserRow> {
  const { directory } = parts
  const identityId = ssoIdentity(subject.issuer, subject.subject)
  const known = await directory.findByIdentity(identityId)
  if (known !== null && known.state !== 'Deleted') return known
  // Somebody was removed while they were being linked: the subject is free again.
  if (known !== null) await directory.identities.release(identityId, known._id)
  const email = subject.verifiedEmail
  if (email === null) throw refused('the provider has not verified your e-mail address')
  const owner =
    (await findAddressee(parts, email)) ??
    (await newGuest(parts, { name: nameOf(subject, email), email }, { request, origin }))
  return await link(parts, owner, { subject, origin })
}

type Proven = { readonly name: string; readonly email: string }

/** A crash after it leaves a guest whose address is verified: the next sign-in links them. */
async function newGuest(
  parts: SsoParts,
  proven: Proven,
  { request: { department, language }, origin }: Asked,
): Promise<UserRow> {
  if (department === undefined) throw departmentFault('is needed for the first sign-in')
  if ((await parts.departments.find(department)) === null) throw departmentFault('does not exist')
  const draft = { ...proven, language, department, passwordHash: null }
  const made = await makeGuest(parts, draft, origin)
  // Another request of theirs may have been faster.
  const person = made ?? (await findAddressee(parts, proven.email))
  if (person === null) throw new AppError('platform.unavailable', 'try to sign in again')
  return person
}

type Link = { readonly subject: Subject; readonly origin: Origin }

/** Noted and told before it is done: after a crash in between it is noted twice, but mailed once. */
async function link(
  { directory, mailer, clock }: SsoParts,
  person: UserRow,
  { subject: { issuer, subject }, origin }: Link,
): Promise<UserRow> {
  if (person.state !== 'Active') return person
  const { _id: userId, department, email, language } = person
  const _id = ssoIdentity(issuer, subject)
  const target = { kind: 'User', id: userId, department }
  const changed = await directory.change(userId, {
    guard: { states: ['Active'] },
    set: {},
    by: { userId, role: person.role, department, origin },
    facts: { action: 'user.identity_linked', target, after: { issuer } },
  })
  if (changed === null) throw refused('this person may not sign in')
  const content = { template: 'IdentityLinked', issuer } as const
  await mailer.send({ id: `linked:${userId}:${_id}`, to: email, language, content })
  const identity = { _id, kind: 'Sso', userId, creationTimeMs: clock.nowMs() } as const
  const held = await directory.identities.claim(identity)
  if (held.userId !== userId) throw refused('the subject belongs to another person')
  return changed
}

/** What the issuer calls them, when that is a name; else the first part of their address. */
function nameOf({ name }: Subject, email: string): string {
  return line({ max: 128 }).safeParse(name).data ?? email.split('@')[0] ?? email
}

function toView({ name, displayName, kind, issuer, clientId }: Issuer): IssuerList['items'][0] {
  return { name, displayName, kind, issuer, clientId }
}

function refused(message: string): AppError {
  return new AppError('sso.refused', message)
}

function departmentFault(message: string): AppError {
  return invalidRequest([{ path: '/department', message }])
}
