import type { UserRow, UserStore } from '../users/store.ts'

/** Of each kind; others see the same in the console. */
const toldMax = 50

/**
 * Who is told about a department's credits: its active admins, or the super admins where it has
 * none.
 */
export async function findAdmins(
  users: Pick<UserStore, 'page'>,
  department: string,
): Promise<readonly UserRow[]> {
  const common = { rows: { kind: 'All' }, state: 'Active', limit: toldMax } as const
  const own = await users.page({ ...common, role: 'department_admin', department })
  return own.length > 0 ? own : await findSuperAdmins(users)
}

export async function findSuperAdmins(users: Pick<UserStore, 'page'>): Promise<readonly UserRow[]> {
  const role = 'super_admin'
  return await users.page({ rows: { kind: 'All' }, state: 'Active', limit: toldMax, role })
}
