import type { RoutePermission } from '../../../src/api/plugins/route-config.ts'
import { isAppError } from '../../../src/shared/errors.ts'
import {
  type Actor,
  canManage,
  canSee,
  type Permission,
  requirePermission,
  type Role,
} from '../../../src/shared/domain/permissions.ts'

/**
 * Whose an object is, seen from who calls: their own; a colleague's; another department's; an
 * admin's or a super admin's of their own department; and one that is not there.
 */
export type Relation = 'own' | 'department' | 'foreign' | 'above' | 'top' | 'absent'

/** To whom something belongs. For people and invitations the role is their own. */
export type Place = {
  readonly relation: Relation
  readonly department: string
  readonly user: string
  readonly role: Role
  /** False when the owner was disabled or removed. */
  readonly isActive: boolean
}

/** The operation's good status, or the one of its refusal. */
export type Verdict = 'Good' | number
export type Rule = (place: Place, actor: Actor) => Verdict

export const always: Rule = () => 'Good'
export const mine: Rule = ({ user }, { userId }) => (user === userId ? 'Good' : 404)
export const seen: Rule = (place, actor) => (canSee(actor, place) ? 'Good' : 404)
export const managed: Rule = (place, actor) => {
  if (!canSee(actor, place)) return 404
  return canManage(actor, place) ? 'Good' : 403
}
/** Nobody demotes, disables or deletes themselves. */
export const managedOthers: Rule = (place, actor) =>
  place.user === actor.userId ? 403 : managed(place, actor)
/** As whom somebody is invited from a place: in it, or above who invites. */
export function invitedRole({ relation }: Place): Exclude<Role, 'guest'> {
  if (relation === 'top') return 'super_admin'
  return relation === 'above' ? 'department_admin' : 'department_member'
}
export const invited: Rule = (place, actor) =>
  managed({ ...place, role: invitedRole(place) }, actor)
/** What belongs to a department and not to a person of it. */
export const inDepartment: Rule = ({ department }, actor) =>
  canSee(actor, { department, user: actor.userId }) ? 'Good' : 404
/** The same where only those who run the department may look. */
export const ofAdmins: Rule = ({ department }, actor) =>
  canSee(actor, { department }) ? 'Good' : 404
/** For what is proven by the request itself, or made for one department. */
export const ownElse =
  (otherwise: number): Rule =>
  ({ relation }) =>
    relation === 'own' ? 'Good' : otherwise

type Asking = { readonly permission: RoutePermission; readonly rule: Rule }

/** What an operation must answer. `actor` is null for who has to sign in first. */
export function verdictOf({ permission, rule }: Asking, place: Place, actor: Actor | null) {
  if (permission === 'Public') return rule(place, actor ?? nobody)
  if (actor === null) return 401
  if (!mayAtAll(actor, permission)) return 403
  return place.relation === 'absent' ? 404 : rule(place, actor)
}

const nobody: Actor = { userId: 'u-nobody', role: 'guest', department: 'nowhere' }

function mayAtAll(actor: Actor, permission: Permission): boolean {
  try {
    requirePermission(actor, permission)
    return true
  } catch (error) {
    if (isAppError(error, 'auth.forbidden')) return false
    throw error
  }
}
