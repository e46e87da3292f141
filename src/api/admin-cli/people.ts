import { AppError } from '../../shared/errors.ts'
import { createDepartmentStore } from '../features/departments/store.ts'
import { decideApproval, decideEnabling, decideRole } from '../features/users/decisions.ts'
import { emailIdentity } from '../features/users/identities.ts'
import type { Decide } from '../features/users/person-changes.ts'
import type { UserRow } from '../features/users/store.ts'
import type { CommandOf } from './command.ts'
import type { AdminParts } from './open.ts'

/** Who did it, in the audit log. */
export const adminCli = 'admin-cli'

/** Errors: `user.email_taken`. */
export async function createSuperAdmin(
  { directory }: AdminParts,
  { email, name, department, language }: CommandOf<'create'>,
  passwordHash: string,
): Promise<UserRow> {
  const row = await directory.create(
    { email, name, department, language, role: 'super_admin', passwordHash },
    {
      identity: { _id: emailIdentity(email), kind: 'Email' },
      by: adminCli,
      action: 'user.created',
    },
  )
  if (row === null) throw addressTaken()
  return row
}

/** Errors: `user.email_taken`. Asked before the password is. */
export async function requireFreeAddress({ directory }: AdminParts, email: string): Promise<void> {
  if ((await directory.findByEmail(email)) !== null) throw addressTaken()
}

/** An installation's first super admin comes before its first department. */
export async function isDepartment(parts: AdminParts, name: string): Promise<boolean> {
  return (await createDepartmentStore(parts.database, parts).find(name)) !== null
}

/** Errors: `user.not_found`, `user.state`, `user.last_super_admin`. */
export async function setRole(
  parts: AdminParts,
  { email, role }: CommandOf<'set-role'>,
): Promise<UserRow> {
  const { personChanges } = parts
  const { _id } = await findByEmail(parts, email)
  await personChanges.apply(_id, adminCli, approveGuest)
  return await personChanges.apply(_id, adminCli, (row) => decideRole(row, role))
}

/** Whoever runs the server may make an admin of somebody who has just signed up. */
const approveGuest: Decide = (row) => (row.role === 'guest' ? decideApproval(row) : null)

/** Errors: `user.not_found`, `user.state`. */
export async function enable(parts: AdminParts, email: string): Promise<UserRow> {
  const { _id } = await findByEmail(parts, email)
  return await parts.personChanges.apply(_id, adminCli, decideEnabling)
}

const listedMax = 1000

export async function listSuperAdmins({ users }: AdminParts): Promise<readonly UserRow[]> {
  return await users.page({
    rows: { kind: 'All' },
    role: 'super_admin',
    states: ['Active', 'Disabled'],
    limit: listedMax,
  })
}

async function findByEmail({ directory }: AdminParts, email: string): Promise<UserRow> {
  const row = await directory.findByEmail(email)
  if (row !== null) return row
  throw new AppError('user.not_found', 'no account has this address')
}

function addressTaken(): AppError {
  const message = 'this address has an account already: give it the role with set-role'
  return new AppError('user.email_taken', message)
}
