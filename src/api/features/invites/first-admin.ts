import type { LeaderTask } from '../../people.ts'
import { type AddresseeParts, findAddressee } from '../codes/addressee.ts'
import type { DepartmentStore } from '../departments/store.ts'
import type { UserStore } from '../users/store.ts'
import { findOpenInvites, type SendParts, sendInvite } from './send.ts'
import { findWorking } from './standing.ts'
import { firstAdminInviter } from './store.ts'

export type FirstAdminParts = SendParts &
  AddresseeParts & {
    readonly departments: Pick<DepartmentStore, 'ensure'>
    readonly users: Pick<UserStore, 'page'>
  }

/** Where the first super admin works until they make the departments. */
const platformDepartment = { name: 'platform', displayName: 'Platform' } as const

/**
 * Invites an address as the first super admin while there is none. Safe to repeat: there is no
 * second mail while an invite is open, and a new one after it has expired. False: nothing to do.
 */
async function inviteFirstAdmin(parts: FirstAdminParts, email: string): Promise<boolean> {
  const rows = { kind: 'All' } as const
  const query = { rows, role: 'super_admin', state: 'Active', limit: 1 } as const
  const admins = await parts.users.page(query)
  if (admins.length > 0) return false
  const { name: department } = platformDepartment
  const open = await findOpenInvites(parts, { email, department })
  if ((await findWorking(parts, open, 'super_admin')) !== null) return false
  // Whoever has an account is promoted with the admin program: an invite would not open it.
  if ((await findAddressee(parts, email)) !== null) return false
  await parts.departments.ensure(platformDepartment)
  const invite = { email, name: null, department, role: 'super_admin', language: 'ko' } as const
  await sendInvite(parts, invite, { by: firstAdminInviter, hasAccount: false })
  return true
}

/** A task of the elected replica, as two that start at once would both send a mail. */
export function firstAdminTask(parts: FirstAdminParts, email: string): LeaderTask {
  return {
    name: 'invite-first-admin',
    everyMs: 60_000,
    run: async () => await inviteFirstAdmin(parts, email),
  }
}
