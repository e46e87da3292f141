import type { Clock } from '../../../shared/clock.ts'
import type { Origin } from '../../../shared/domain/caller.ts'
import { AppError } from '../../../shared/errors.ts'
import type { AcceptRequest } from '../../../shared/wire/invites.ts'
import type { SessionView } from '../../../shared/wire/sessions.ts'
import { findAddressee } from '../codes/addressee.ts'
import { requireHardPassword } from '../codes/new-password.ts'
import type { SessionKeeper } from '../sessions/contract.ts'
import type { Passwords } from '../sessions/passwords.ts'
import type { UserDirectory } from '../users/directory.ts'
import { emailIdentity } from '../users/identities.ts'
import type { UserRow } from '../users/store.ts'
import { isBacked } from './standing.ts'
import type { InviteRow, InviteStore } from './store.ts'
import { isSameHash, readInviteToken } from './token.ts'

export type AcceptParts = {
  readonly invites: InviteStore
  readonly directory: UserDirectory
  readonly passwords: Pick<Passwords, 'hash'>
  readonly sessions: Pick<SessionKeeper, 'start'>
  readonly clock: Clock
}

/**
 * Makes the person and signs them in. Of two at once one ends the invite and goes on. A crash right
 * after that leaves an invite that is used up and nobody in the account: it takes a new invite.
 */
export async function acceptInvite(
  parts: AcceptParts,
  request: AcceptRequest,
  origin: Origin,
): Promise<SessionView> {
  const { invites, passwords, sessions, clock } = parts
  const { password, name } = request
  const invite = await findInvite(parts, request.token)
  requireHardPassword(password, { email: invite.email, name })
  if ((await findAddressee(parts, invite.email)) !== null) throw invalidInvite()
  // Before the invite is used up: hashing may have to refuse when too many sign in at once.
  const passwordHash = await passwords.hash(password, origin.ip)
  const ended = await invites.end(invite._id, clock.nowMs(), { state: 'Accepted' })
  if (ended === null) throw invalidInvite()
  const { _id: userId } = await createMember(parts, ended, { request, passwordHash, origin })
  return await sessions.start({ userId, method: 'Invite', origin })
}

async function findInvite(parts: AcceptParts, text: string): Promise<InviteRow> {
  const { invites, clock } = parts
  const token = readInviteToken(text)
  if (token === null) throw invalidInvite()
  const invite = await invites.find(token.inviteId)
  const isRight = isSameHash(token.hash, invite?.tokenHash ?? token.hash)
  const isOpen = invite?.state === 'Open' && invite.expiresMs > clock.nowMs()
  if (invite === null || !isRight || !isOpen) throw invalidInvite()
  if (!(await isBacked(parts, invite))) throw invalidInvite()
  return invite
}

/** One sentence for wrong, used, replaced, revoked, expired, unbacked and overtaken by an account. */
function invalidInvite(): AppError {
  return new AppError('invite.invalid', 'the invitation is not valid any more; ask for a new one')
}

type NewMember = {
  readonly request: AcceptRequest
  readonly passwordHash: string
  readonly origin: Origin
}

/** The inviter has approved them: no guest. */
async function createMember(
  { directory }: AcceptParts,
  { _id, by, email, role, department }: InviteRow,
  { request, passwordHash, origin }: NewMember,
): Promise<UserRow> {
  const { name, language } = request
  const draft = { email, name, language, role, department, passwordHash }
  const member = await directory.create(draft, {
    identity: { _id: emailIdentity(email), kind: 'Email' },
    origin,
    action: 'user.invite_accepted',
    facts: { invite: _id, invitedBy: by },
  })
  if (member === null) throw invalidInvite()
  return member
}
