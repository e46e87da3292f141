import type { Clock } from '../../../shared/clock.ts'
import type { NewAuditEntry } from '../audit-log/entry.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import type { InviteRow, InviteStore } from './store.ts'

export type RevokeParts = {
  readonly invites: InviteStore
  readonly trail: AuditTrail
  readonly clock: Clock
}

/** Kills the token of an invite. False when the invite had ended before. */
export async function revokeInvite(
  { invites, trail, clock }: RevokeParts,
  { _id: id, department }: Pick<InviteRow, '_id' | 'department'>,
  by: NewAuditEntry['by'],
): Promise<boolean> {
  const target = { kind: 'Invite', id, department }
  const audit = trail.entry(by, { action: 'user.invite_revoked', target })
  const ended = await invites.end(id, clock.nowMs(), { state: 'Revoked', audit })
  if (ended === null) return false
  await trail.relay(invites, ended)
  return true
}
