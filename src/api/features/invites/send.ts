import type { Seal } from '../../../platform/seal/seal.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import type { RandomBytes } from '../../../shared/domain/job-id.ts'
import { addressKey, type Language } from '../../../shared/wire/text.ts'
import type { InviteRole } from '../../../shared/wire/invites.ts'
import type { MailContent, Mailer } from '../../mail/mailer.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import type { CurrentSettings } from '../settings/current.ts'
import { revokeInvite } from './revoke.ts'
import type { firstAdminInviter, InviteRow, InviteStore } from './store.ts'
import { newInviteToken } from './token.ts'

const dayMs = 86_400_000

export type SendParts = {
  readonly invites: InviteStore
  readonly settings: CurrentSettings
  readonly trail: AuditTrail
  readonly mailer: Mailer
  readonly seal: Pick<Seal, 'digest'>
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly newId: () => string
}

export type NewInvite = {
  readonly email: string
  readonly name: string | null
  readonly department: string
  readonly role: InviteRole
  readonly language: Language
}

export type Sending = {
  readonly by: Caller | typeof firstAdminInviter
  /** The address has an account that the inviter may not know of: the mail says so, with no token. */
  readonly hasAccount: boolean
}

function emailKeyOf({ seal }: Pick<SendParts, 'seal'>, email: string): string {
  return seal.digest('invite address', addressKey(email))
}

/** Open invites of an address to a department, oldest first. */
export async function findOpenInvites(
  parts: Pick<SendParts, 'invites' | 'seal' | 'clock'>,
  { email, department }: Pick<NewInvite, 'email' | 'department'>,
): Promise<readonly InviteRow[]> {
  const open = await parts.invites.findOpen(emailKeyOf(parts, email), parts.clock.nowMs())
  return open.filter((invite) => invite.department === department)
}

/**
 * Makes an invite, ends the older ones of the same address and department, and mails the token. Of
 * two at the same moment the newer stays, whoever looks last. A crash before the mail leaves an
 * invite that is not marked as mailed: inviting again, in whatever way, replaces it.
 */
export async function sendInvite(
  parts: SendParts,
  invite: NewInvite,
  { by, hasAccount }: Sending,
): Promise<InviteRow> {
  const { invites, settings, trail, mailer, clock, randomBytes, newId } = parts
  const { inviteDays } = await settings()
  const _id = newId()
  const token = newInviteToken(_id, randomBytes)
  const nowMs = clock.nowMs()
  const row: InviteRow = {
    ...invite,
    _id,
    emailKey: emailKeyOf(parts, invite.email),
    tokenHash: token.hash,
    state: 'Open',
    by: typeof by === 'string' ? by : by.userId,
    creationTimeMs: nowMs,
    expiresMs: nowMs + inviteDays * dayMs,
    mailedMs: null,
    auditOutbox: [trail.entry(by, { action: 'user.invited', ...auditFacts(_id, invite) })],
  }
  await invites.insert(row)
  await trail.relay(invites, row)
  await endOlder(parts, row, by)
  const content: MailContent = hasAccount
    ? { template: 'AccountExists' }
    : {
        template: 'Invited',
        token: token.text,
        department: invite.department,
        days: inviteDays,
      }
  await mailer.send({ id: `invite:${_id}`, to: row.email, language: row.language, content })
  await invites.markMailed(_id, clock.nowMs())
  return row
}

/** The log keeps no address: the target's id leads to it while the invite is there. */
function auditFacts(id: string, { department, role }: Pick<NewInvite, 'department' | 'role'>) {
  return { target: { kind: 'Invite', id, department }, after: { role } } as const
}

async function endOlder(parts: SendParts, row: InviteRow, by: Sending['by']): Promise<void> {
  const open = await findOpenInvites(parts, row)
  const newest = open.at(-1)?._id ?? row._id
  for (const one of open) {
    if (one._id < newest) await revokeInvite(parts, one, by)
  }
}
