import { canManage } from '../../../shared/domain/permissions.ts'
import type { InviteRole } from '../../../shared/wire/invites.ts'
import type { UserDirectory } from '../users/directory.ts'
import { firstAdminInviter, type InviteRow } from './store.ts'

export type StandingParts = { readonly directory: Pick<UserDirectory, 'find'> }

/** An invitation is worth what its inviter may do now; the one behind no person is the platform's. */
export async function isBacked(
  { directory }: StandingParts,
  { by, role, department }: Pick<InviteRow, 'by' | 'role' | 'department'>,
): Promise<boolean> {
  if (by === firstAdminInviter) return true
  const inviter = await directory.find(by)
  if (inviter?.state !== 'Active') return false
  const actor = { userId: by, role: inviter.role, department: inviter.department }
  return canManage(actor, { role, department })
}

/** The newest of these that makes somebody this, if accepted; null when all of them are dead ends. */
export async function findWorking(
  parts: StandingParts,
  open: readonly InviteRow[],
  role: InviteRole,
): Promise<InviteRow | null> {
  for (const invite of open.toReversed()) {
    const isMailed = invite.mailedMs !== null
    if (invite.role === role && isMailed && (await isBacked(parts, invite))) return invite
  }
  return null
}
