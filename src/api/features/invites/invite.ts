import type { Caller } from '../../../shared/domain/caller.ts'
import { canManage, canSee, requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import { type AddresseeParts, findAddressee } from '../codes/addressee.ts'
import type { DepartmentStore } from '../departments/store.ts'
import { findOpenInvites, type NewInvite, type SendParts, sendInvite } from './send.ts'
import { findWorking } from './standing.ts'
import type { InviteRow } from './store.ts'

export type InviteParts = SendParts &
  AddresseeParts & { readonly departments: Pick<DepartmentStore, 'find'> }

export type InviteOptions = {
  /** Leaves an open invite as it is that says the same and works: no second mail. */
  readonly keepSame: boolean
}
export type Invited = { readonly row: InviteRow; readonly isNew: boolean }

/**
 * Invites one address. Whoever has an account already is named to an inviter who may see that
 * person (`user.email_taken`). To all others it looks like every invitation, is listed, can be
 * revoked and expires; only its mail tells the owner of the address that they have an account.
 * Errors: `department.not_found`, `auth.forbidden`, `user.email_taken`.
 */
export async function invitePerson(
  parts: InviteParts,
  caller: Caller,
  { invite, keepSame }: InviteOptions & { readonly invite: NewInvite },
): Promise<Invited> {
  await requireReach(parts, caller, invite)
  const open = await findOpenInvites(parts, invite)
  const foreign = open.find((one) => !canManage(caller, one))
  if (foreign !== undefined) throw forbidden('somebody above you has invited this address')
  const same = keepSame ? await findWorking(parts, open, invite.role) : null
  if (same !== null) return { row: same, isNew: false }
  const known = await findAddressee(parts, invite.email)
  if (known !== null && canSee(caller, { department: known.department, user: known._id })) {
    throw new AppError('user.email_taken', 'a person whom you can see has this address')
  }
  const row = await sendInvite(parts, invite, { by: caller, hasAccount: known !== null })
  return { row, isNew: true }
}

/**
 * Department admins reach their own department, and only super admins appoint admins; a key of one
 * only with the scope that it would need to appoint them afterwards.
 */
async function requireReach(
  { departments }: InviteParts,
  caller: Caller,
  { department, role }: NewInvite,
): Promise<void> {
  const isThere = canSee(caller, { department }) && (await departments.find(department)) !== null
  if (!isThere) throw new AppError('department.not_found', 'there is no department of this name')
  if (!canManage(caller, { role, department })) {
    throw forbidden('department admins invite members only')
  }
  if (role !== 'department_member') requirePermission(caller, 'users.set_role')
}

function forbidden(message: string): AppError {
  return new AppError('auth.forbidden', message)
}
