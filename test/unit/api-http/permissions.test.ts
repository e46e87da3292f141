import { describe, expect, test } from 'vitest'
import {
  type Actor,
  canManage,
  canSee,
  isAllowed,
  keyScopes,
  type Permission,
  permissions,
  permissionsOf,
  requirePermission,
  type Role,
  roles,
  visibleRows,
} from '../../../src/shared/domain/permissions.ts'
import { isAppError } from '../../../src/shared/errors.ts'

const actor = (role: Actor['role']): Actor => ({ userId: 'u-1', role, department: 'quality' })

const superAdmin = ['super_admin'] as const
const admins = [...superAdmin, 'department_admin'] as const
const members = [...admins, 'department_member'] as const
const anybody = [...members, 'guest'] as const

/** The whole matrix: whoever adds a permission says here who has it. */
const holders: Readonly<Record<Permission, readonly Role[]>> = {
  'users.read_self': anybody,
  'users.update_self': anybody,
  'sessions.manage': anybody,
  'notifications.read': anybody,
  'api_keys.manage': members,
  'realtime.connect': members,
  'departments.read': members,
  'models.read': members,
  'jobs.create': members,
  'jobs.read': members,
  'jobs.cancel': members,
  'artifacts.read': members,
  'artifacts.create': members,
  'artifacts.delete': members,
  'users.read': admins,
  'users.invite': admins,
  'users.approve': admins,
  'users.update': admins,
  'users.disable': admins,
  'audit_log.read': admins,
  'departments.update': admins,
  'users.set_role': superAdmin,
  'users.move': superAdmin,
  'users.delete': superAdmin,
  'users.set_membership': superAdmin,
  'departments.create': superAdmin,
  'settings.read': superAdmin,
  'settings.update': superAdmin,
  'credits.read': members,
  'credits.request': members,
  'credits.distribute': admins,
  'credits.revoke': admins,
  'credits.issue': superAdmin,
  'credits.adjust': superAdmin,
  'system.audit': superAdmin,
}

describe('roles', () => {
  test.each(permissions)('%s belongs to exactly those roles', (permission) => {
    expect(roles.filter((role) => isAllowed(role, permission))).toEqual(holders[permission])
  })

  test.each(roles)('the list of a %s says the same as the question', (role) => {
    const asked = permissions.filter((permission) => isAllowed(role, permission))
    expect(new Set(permissionsOf(role))).toEqual(new Set(asked))
  })

  test('a missing permission is refused with its name', () => {
    expect(() => requirePermission(actor('guest'), 'jobs.create')).toThrow(
      expect.objectContaining({ code: 'auth.forbidden' }),
    )
    expect(() => requirePermission(actor('super_admin'), 'jobs.create')).not.toThrow()
  })
})

describe('API keys', () => {
  test('can be given everything but the keys, passwords and sessions of their owner', () => {
    const kept = permissions.filter((one) => !keyScopes.includes(one))
    expect(new Set(kept)).toEqual(
      new Set(['users.update_self', 'sessions.manage', 'api_keys.manage']),
    )
  })

  test('have only their scopes, and never more than the role', () => {
    const scopes = ['jobs.read', 'system.audit'] as const
    const key = { ...actor('department_member'), scopes }
    const allowed = permissions.filter((permission) => !refuses(key, permission))
    expect(allowed).toEqual(['jobs.read'])
  })

  test('without scopes have nothing', () => {
    const key = { ...actor('super_admin'), scopes: [] }
    expect(permissions.filter((permission) => !refuses(key, permission))).toEqual([])
  })
})

function refuses(who: Actor, permission: Permission): boolean {
  try {
    requirePermission(who, permission)
    return false
  } catch (error) {
    return isAppError(error, 'auth.forbidden')
  }
}

describe('managing people', () => {
  const places = ['quality', 'research'] as const
  const everybody = roles.flatMap((role) => places.map((department) => ({ role, department })))

  test.each([
    ['super_admin', everybody],
    [
      'department_admin',
      [
        { role: 'department_member', department: 'quality' },
        { role: 'guest', department: 'quality' },
      ],
    ],
    ['department_member', []],
    ['guest', []],
  ] as const)('a %s of quality manages exactly these', (role, managed) => {
    expect(everybody.filter((person) => canManage(actor(role), person))).toEqual(managed)
  })
})

describe('rows', () => {
  const mine = { department: 'quality', user: 'u-1' }
  const colleague = { department: 'quality', user: 'u-2' }
  const department = { department: 'quality' }
  const stranger = { department: 'research', user: 'u-3' }
  const namesake = { department: 'research', user: 'u-1' }

  test.each([
    ['guest', [mine]],
    ['department_member', [mine]],
    ['department_admin', [mine, colleague, department]],
    ['super_admin', [mine, colleague, department, stranger, namesake]],
  ] as const)('a %s sees theirs', (role, seen) => {
    const all = [mine, colleague, department, stranger, namesake]
    expect(all.filter((owner) => canSee(actor(role), owner))).toEqual(seen)
  })

  test('the filter for a store says the same', () => {
    expect(visibleRows(actor('super_admin'))).toEqual({ kind: 'All' })
    expect(visibleRows(actor('department_admin'))).toEqual({
      kind: 'Department',
      department: 'quality',
    })
    expect(visibleRows(actor('department_member'))).toEqual({
      kind: 'Own',
      department: 'quality',
      user: 'u-1',
    })
  })
})
