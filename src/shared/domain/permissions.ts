import { AppError } from '../errors.ts'

export const roles = ['super_admin', 'department_admin', 'department_member', 'guest'] as const
export type Role = (typeof roles)[number]

/** What a role may do at all; on whom or what is said by `visibleRows` and `canManage`. */
export const permissions = [
  'users.read_self',
  'users.update_self',
  'sessions.manage',
  'api_keys.manage',
  'notifications.read',
  'realtime.connect',
  'departments.read',
  'models.read',
  'credits.read',
  'credits.request',
  'jobs.create',
  'jobs.read',
  'jobs.cancel',
  'artifacts.read',
  'artifacts.create',
  'artifacts.delete',
  'users.read',
  'users.invite',
  'users.approve',
  'users.update',
  'users.disable',
  'audit_log.read',
  'credits.distribute',
  'credits.revoke',
  'users.set_role',
  'users.move',
  'users.delete',
  'users.set_membership',
  'departments.create',
  'departments.update',
  'settings.read',
  'settings.update',
  'credits.issue',
  'credits.adjust',
  'system.audit',
] as const
export type Permission = (typeof permissions)[number]

/** A guest is signed in but not yet approved: nothing beyond their own profile. */
const guest = [
  'users.read_self',
  'users.update_self',
  'sessions.manage',
  'notifications.read',
] as const satisfies readonly Permission[]
const member = [
  ...guest,
  'api_keys.manage',
  'realtime.connect',
  'departments.read',
  'models.read',
  'credits.read',
  'credits.request',
  'jobs.create',
  'jobs.read',
  'jobs.cancel',
  'artifacts.read',
  'artifacts.create',
  'artifacts.delete',
] as const satisfies readonly Permission[]
/** The same as a member, and the people of their own department. */
const departmentAdmin = [
  ...member,
  'users.read',
  'users.invite',
  'users.approve',
  'users.update',
  'users.disable',
  'audit_log.read',
  'credits.distribute',
  'credits.revoke',
  'departments.update',
] as const satisfies readonly Permission[]

const matrix: Readonly<Record<Role, readonly Permission[]>> = {
  super_admin: permissions,
  department_admin: departmentAdmin,
  department_member: member,
  guest,
}

/** What an API key may be given: never the keys, passwords and sessions of its owner. */
export const keyScopes = permissions.filter(
  (permission) => !['users.update_self', 'sessions.manage', 'api_keys.manage'].includes(permission),
)

/** Who asks. `userId` is an RFC 1123 label, so that it can stand in `spec.owner.user`. */
export type Actor = {
  readonly userId: string
  readonly role: Role
  /** For a guest the department that they asked for. */
  readonly department: string
  /** Narrows the role: an API key has only these permissions. Absent: all of the role. */
  readonly scopes?: readonly Permission[] | undefined
}

export function permissionsOf(role: Role): readonly Permission[] {
  return matrix[role]
}

export function isAllowed(role: Role, permission: Permission): boolean {
  return matrix[role].includes(permission)
}

/** The first line of every service function. Throws `auth.forbidden`. */
export function requirePermission(actor: Actor, permission: Permission): void {
  if (!isAllowed(actor.role, permission)) {
    throw new AppError('auth.forbidden', `your role does not include ${permission}`)
  }
  if (actor.scopes !== undefined && !actor.scopes.includes(permission)) {
    throw new AppError('auth.forbidden', `this API key does not include ${permission}`)
  }
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

/** The parts of a person that decide who may act on them. */
export type Managed = { readonly role: Role; readonly department: string }

/**
 * May this actor change this person? Super admins everybody; department admins the members and
 * guests of their own department, never another admin.
 */
export function canManage(actor: Actor, person: Managed): boolean {
  if (actor.role === 'super_admin') return true
  if (actor.role !== 'department_admin' || actor.department !== person.department) return false
  return person.role === 'department_member' || person.role === 'guest'
}
