import { describe, expect, test } from 'vitest'
import {
  type Actor,
  canSee,
  isAllowed,
  permissions,
  requirePermission,
  roles,
  visibleRows,
} from '../../../src/shared/domain/permissions.ts'

const actor = (role: Actor['role']): Actor => ({ userId: 'u-1', role, department: 'quality' })

describe('roles', () => {
  test('a guest may only read their own profile', () => {
    expect(permissions.filter((one) => isAllowed('guest', one))).toEqual(['users.read_self'])
  })

  test('only a super admin reads the audit', () => {
    expect(roles.filter((role) => isAllowed(role, 'system.audit'))).toEqual(['super_admin'])
  })

  test('members and department admins use everything else', () => {
    const rest = permissions.filter((one) => one !== 'system.audit')
    for (const role of ['department_member', 'department_admin'] as const) {
      expect(permissions.filter((one) => isAllowed(role, one))).toEqual(rest)
    }
  })

  test('a missing permission is refused with its name', () => {
    expect(() => requirePermission(actor('guest'), 'jobs.create')).toThrow(
      expect.objectContaining({ code: 'auth.forbidden' }),
    )
    expect(() => requirePermission(actor('super_admin'), 'jobs.create')).not.toThrow()
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
