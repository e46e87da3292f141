import { AppError } from '../errors.ts'

export const roles = ['super_admin', 'department_admin', 'department_member', 'guest'] as const
export type Role = (typeof roles)[number]

/** Who asks. `userId` is an RFC 1123 label, so that it can stand in `spec.owner.user`. */
export type Actor = {
  readonly userId: string
  readonly role: Role
  readonly department: string
}

export const permissions = [
  'users.read_self',
  'departments.read',
  'models.read',
  'jobs.create',
  'jobs.read',
  'jobs.cancel',
  'artifacts.read',
  'artifacts.create',
  'artifacts.delete',
  'system.audit',
] as const
export type Permission = (typeof permissions)[number]

/** A guest is signed in but not yet approved: nothing beyond their own profile. */
const guest: readonly Permission[] = ['users.read_self']
const member: readonly Permission[] = [
  ...guest,
  'departments.read',
  'models.read',
  'jobs.create',
  'jobs.read',
  'jobs.cancel',
  'artifacts.read',
  'artifacts.create',
  'artifacts.delete',
]

const matrix: Readonly<Record<Role, readonly Permission[]>> = {
  super_admin: permissions,
  department_admin: member,
  department_member: member,
  guest,
}

export function isAllowed(role: Role, permission: Permission): boolean {
  return matrix[role].includes(permission)
}

/** The first line of every service function. Throws `auth.forbidden`. */
export function requirePermission(actor: Actor, permission: Permission): void {
  if (isAllowed(actor.role, permission)) return
  throw new AppError('auth.forbidden', `your role does not include ${permission}`)
}

/** The part of all rows that an actor may see; a store turns it into a filter. */
export type VisibleRows =
  | { readonly kind: 'All' }
  | { readonly kind: 'Department'; readonly department: string }
  | { readonly kind: 'Own'; readonly department: string; readonly user: string }

/** Members see their own rows, department admins their department's, super admins everything. */
export function visibleRows(actor: Actor): VisibleRows {
  if (actor.role === 'super_admin') return { kind: 'All' }
  if (actor.role === 'department_admin') return { kind: 'Department', department: actor.department }
  return { kind: 'Own', department: actor.department, user: actor.userId }
}

/** What belongs to whom: the owner of a job, an artifact or an account. */
export type Ownership = { readonly department: string; readonly user?: string | null | undefined }

/** May this actor know that a row with this owner exists? */
export function canSee(actor: Actor, owner: Ownership): boolean {
  const rows = visibleRows(actor)
  if (rows.kind === 'All') return true
  if (rows.department !== owner.department) return false
  return rows.kind === 'Department' || rows.user === owner.user
}
