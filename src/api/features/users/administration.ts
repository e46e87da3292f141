import { assert } from '../../../shared/assert.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import type { Membership } from '../../../shared/domain/membership.ts'
import {
  canManage,
  canSee,
  type Permission,
  requirePermission,
  visibleRows,
} from '../../../shared/domain/permissions.ts'
import { AppError, invalidRequest } from '../../../shared/errors.ts'
import type { Page } from '../../../shared/wire/pages.ts'
import type {
  MembershipRequest,
  MoveRequest,
  PersonQuery,
  PersonView,
  ProfileChangeRequest,
  RoleChangeRequest,
} from '../../../shared/wire/users.ts'
import { decodeCursor, toPage } from '../../pages.ts'
import type { DepartmentStore } from '../departments/store.ts'
import {
  decideApproval,
  decideDeletion,
  decideDisabling,
  decideEnabling,
  decideMembership,
  decideMove,
  decideProfile,
  decideRejection,
  decideRole,
} from './decisions.ts'
import { type Decide, type PersonChanges, personNotFound } from './person-changes.ts'
import type { UserRow, UserStore } from './store.ts'
import { toPersonView } from './views.ts'

type Act = (caller: Caller, userId: string) => Promise<PersonView>
type ActWith<Request> = (caller: Caller, userId: string, request: Request) => Promise<PersonView>

/**
 * People as admins see and change them: super admins everybody, department admins their own
 * department. Errors of all: `auth.forbidden`; `user.not_found` for who cannot be seen;
 * `user.state`; `user.last_super_admin`.
 */
export type Administration = {
  /** By id, which is in order of creation. */
  readonly list: (caller: Caller, query: PersonQuery) => Promise<Page<PersonView>>
  readonly get: Act
  readonly update: ActWith<ProfileChangeRequest>
  readonly approve: Act
  readonly reject: Act
  readonly setRole: ActWith<RoleChangeRequest>
  /** Error: `department.not_found`. */
  readonly move: ActWith<MoveRequest>
  readonly disable: Act
  readonly enable: Act
  /** Repeating it finishes what a crash left. */
  readonly remove: Act
  /** Error: `request.invalid` for an end that has passed. */
  readonly setMembership: ActWith<MembershipRequest>
}

export type AdministrationParts = {
  readonly users: Pick<UserStore, 'find' | 'page'>
  readonly departments: Pick<DepartmentStore, 'find'>
  readonly personChanges: PersonChanges
  readonly clock: Clock
}

export function createAdministration(parts: AdministrationParts): Administration {
  const { users, clock } = parts
  const view = (row: UserRow): PersonView => toPersonView(row, clock.nowMs())
  const change = async (wish: Wish, decide: Decide): Promise<PersonView> =>
    view(await changePerson(parts, wish, decide))
  return {
    list: async (caller, query) => {
      requirePermission(caller, 'users.read')
      const { items, next } = await listPeople(parts, caller, query)
      return { items: items.map(view), next }
    },
    get: async (caller, userId) => {
      requirePermission(caller, 'users.read')
      const row = await users.find(userId)
      if (row === null) throw personNotFound()
      requireVisible(caller, row)
      return view(row)
    },
    update: async (caller, userId, request) =>
      await change({ caller, userId, permission: 'users.update' }, (row) =>
        decideProfile(row, request),
      ),
    approve: async (caller, userId) =>
      await change({ caller, userId, permission: 'users.approve' }, decideApproval),
    reject: async (caller, userId) =>
      await change({ caller, userId, permission: 'users.approve' }, decideRejection),
    setRole: async (caller, userId, { role }) =>
      await change({ caller, userId, permission: 'users.set_role', notSelf }, (row) =>
        decideRole(row, role),
      ),
    move: async (caller, userId, request) => {
      requirePermission(caller, 'users.move')
      await requireDepartment(parts, request.department)
      return await change({ caller, userId, permission: 'users.move' }, (row) =>
        decideMove(row, request),
      )
    },
    disable: async (caller, userId) =>
      await change({ caller, userId, permission: 'users.disable', notSelf }, decideDisabling),
    enable: async (caller, userId) =>
      await change({ caller, userId, permission: 'users.disable' }, decideEnabling),
    remove: async (caller, userId) =>
      await change({ caller, userId, permission: 'users.delete', notSelf }, decideDeletion),
    setMembership: async (caller, userId, request) => {
      requirePermission(caller, 'users.set_membership')
      const membership = readMembership(request, clock.nowMs())
      return await change({ caller, userId, permission: 'users.set_membership' }, (row) =>
        decideMembership(row, membership),
      )
    },
  }
}

/** Nobody locks themselves out, so that a slip always leaves somebody who can repair it. */
const notSelf = true

type Wish = {
  readonly caller: Caller
  readonly userId: string
  readonly permission: Permission
  readonly notSelf?: boolean
}

async function changePerson(
  { personChanges }: AdministrationParts,
  { caller, userId, permission, notSelf: others = false }: Wish,
  decide: Decide,
): Promise<UserRow> {
  requirePermission(caller, permission)
  if (others && userId === caller.userId) throw ownAccount()
  return await personChanges.apply(userId, caller, (row) => {
    requireVisible(caller, row)
    if (canManage(caller, row)) return decide(row)
    throw new AppError('auth.forbidden', 'only a super admin may change another admin')
  })
}

async function listPeople(
  { users }: AdministrationParts,
  caller: Caller,
  { limit, cursor, ...filters }: PersonQuery,
): Promise<Page<UserRow>> {
  const afterId = cursor === undefined ? undefined : decodeCursor(cursor)
  const states = filters.state === undefined ? (['Active', 'Disabled'] as const) : undefined
  const rows = visibleRows(caller)
  const found = await users.page({ ...filters, states, rows, afterId, limit: limit + 1 })
  assert(
    found.every((row) => canSee(caller, ownershipOf(row))),
    'the filter says the same as canSee',
  )
  return toPage(found, limit, ({ _id }) => _id)
}

async function requireDepartment(
  { departments }: AdministrationParts,
  name: string,
): Promise<void> {
  if ((await departments.find(name)) !== null) return
  throw new AppError('department.not_found', `there is no department ${name}`)
}

function requireVisible(caller: Caller, row: UserRow): void {
  if (!canSee(caller, ownershipOf(row))) throw personNotFound()
}

function ownershipOf({ _id, department }: UserRow) {
  return { department, user: _id }
}

function readMembership({ tier, expiresTime }: MembershipRequest, nowMs: number): Membership {
  if (expiresTime === null) return { tier, expiresMs: null }
  const expiresMs = Date.parse(expiresTime)
  if (expiresMs > nowMs) return { tier, expiresMs }
  throw invalidRequest([{ path: '/expiresTime', message: 'has passed' }])
}

function ownAccount(): AppError {
  const message = 'nobody may demote, disable or delete themselves: ask another admin'
  return new AppError('auth.forbidden', message)
}
