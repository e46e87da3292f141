import { describe, expect, test } from 'vitest'
import {
  auditedValues,
  type Decision,
  decideApproval,
  decideDeletion,
  decideDisabling,
  decideEnabling,
  decideGuestRemoval,
  decideMembership,
  decideMove,
  decidePassword,
  decideProfile,
  decideRejection,
  decideRole,
  leavesSuperAdmins,
  type Person,
} from '../../../src/api/features/users/decisions.ts'
import { freeMembership } from '../../../src/shared/domain/membership.ts'

const base: Person = {
  name: 'Mina Moon',
  language: 'ko',
  role: 'department_member',
  department: 'quality',
  state: 'Active',
  membership: freeMembership,
  creationTimeMs: 1000,
}
const person = (changes: Partial<Person> = {}): Person => ({ ...base, ...changes })
const guest = (changes: Partial<Person> = {}) => person({ role: 'guest', ...changes })
const deleted = person({ state: 'Deleted' })
const refused = (message: RegExp) =>
  expect.objectContaining({ code: 'user.state', message: expect.stringMatching(message) })

const set = (decision: Decision | null) => decision?.set ?? {}

const tombstone = { state: 'Deleted', email: '', name: '', passwordHash: null }
const endSessions = { kind: 'EndSessions', reason: 'Deleted', keepSessionId: null }

describe('a guest', () => {
  test('becomes a member and is told', () => {
    expect(decideApproval(guest())).toEqual({
      action: 'user.approved',
      set: { role: 'department_member' },
      follows: [
        {
          kind: 'Tell',
          content: { template: 'Approved', name: 'Mina Moon', department: 'quality' },
        },
        {
          kind: 'Notify',
          fact: { kind: 'AccountApproved', values: { department: 'quality' } },
        },
      ],
    })
  })

  test.each([
    ['a member', person(), /not a guest/],
    ['a super admin', person({ role: 'super_admin' }), /not a guest/],
    ['a disabled guest', guest({ state: 'Disabled' }), /disabled: enable/],
    ['a removed guest', guest({ state: 'Deleted' }), /removed/],
  ])('%s cannot be approved', (_name, who, message) => {
    expect(() => decideApproval(who)).toThrow(refused(message))
  })

  test.each(['Active', 'Disabled'] as const)('who is %s can be rejected', (state) => {
    const content = { template: 'Rejected', name: 'Mina Moon', department: 'quality' }
    expect(decideRejection(guest({ state }))).toEqual({
      action: 'user.rejected',
      set: tombstone,
      follows: [endSessions, { kind: 'ReleaseIdentities' }, { kind: 'Tell', content }],
    })
  })

  test.each([person(), guest({ state: 'Deleted' })])('nobody else can be rejected', (who) => {
    expect(() => decideRejection(who)).toThrow(refused(/not a guest|removed/))
  })

  test('is removed without a word once the days are over, not a moment before', () => {
    expect(decideGuestRemoval(guest({ creationTimeMs: 999 }), 1000)).toEqual({
      action: 'user.removed',
      set: tombstone,
      follows: [endSessions, { kind: 'ReleaseIdentities' }],
    })
    expect(decideGuestRemoval(guest({ creationTimeMs: 1000 }), 1000)).toBeNull()
  })

  test('who was approved or removed meanwhile stays so', () => {
    expect(decideGuestRemoval(person({ creationTimeMs: 0 }), 1000)).toBeNull()
    expect(decideGuestRemoval(guest({ creationTimeMs: 0, state: 'Deleted' }), 1000)).toBeNull()
  })
})

describe('a role', () => {
  test('changes, and the same one changes nothing', () => {
    expect(decideRole(person(), 'department_admin')).toEqual({
      action: 'user.role_changed',
      set: { role: 'department_admin' },
      follows: [
        { kind: 'Notify', fact: { kind: 'RoleChanged', values: { role: 'department_admin' } } },
      ],
    })
    expect(decideRole(person(), 'department_member')).toBeNull()
  })

  test('is not given to guests and those who were removed', () => {
    expect(() => decideRole(guest(), 'super_admin')).toThrow(refused(/approve/))
    expect(() => decideRole(deleted, 'super_admin')).toThrow(refused(/removed/))
  })
})

describe('a move', () => {
  test.each([
    ['department_member', false, 'department_member'],
    ['department_admin', false, 'department_member'],
    ['department_admin', true, 'department_admin'],
    ['super_admin', false, 'super_admin'],
    ['guest', false, 'guest'],
  ] as const)('of a %s with keepRole %s makes a %s', (role, keepRole, after) => {
    const decision = decideMove(person({ role }), { department: 'research', keepRole })
    expect(decision?.set).toEqual({ department: 'research', role: after })
    expect(decision?.follows).toContainEqual({ kind: 'ReturnCredits' })
  })

  test('to where they are changes nothing, not even an admin', () => {
    const admin = person({ role: 'department_admin' })
    expect(decideMove(admin, { department: 'quality', keepRole: false })).toBeNull()
  })

  test('of a removed person is refused', () => {
    expect(() => decideMove(deleted, { department: 'research', keepRole: false })).toThrow(
      refused(/removed/),
    )
  })
})

describe('a state', () => {
  test('disabling ends sessions, and a repeat has nothing to decide', () => {
    expect(decideDisabling(person())).toEqual({
      action: 'user.disabled',
      set: { state: 'Disabled' },
      follows: [{ ...endSessions, reason: 'Disabled' }],
    })
    expect(decideDisabling(person({ state: 'Disabled' }))).toBeNull()
  })

  test('enabling undoes it, and a repeat has nothing to decide', () => {
    expect(decideEnabling(person({ state: 'Disabled' }))?.set).toEqual({ state: 'Active' })
    expect(decideEnabling(person())).toBeNull()
  })

  test('nobody comes back from being removed', () => {
    expect(() => decideEnabling(deleted)).toThrow(refused(/removed/))
    expect(() => decideDisabling(deleted)).toThrow(refused(/removed/))
    expect(() => decideProfile(deleted, { name: 'Again' })).toThrow(refused(/removed/))
  })

  test('deletion gives the credits back to the department', () => {
    expect(decideDeletion(person())?.follows).toContainEqual({ kind: 'ReturnCredits' })
    expect(decideDisabling(person())?.follows).not.toContainEqual({ kind: 'ReturnCredits' })
  })

  test('deletion leaves a tombstone, and a repeat has nothing to decide', () => {
    expect(decideDeletion(person({ state: 'Disabled' }))?.set).toEqual(tombstone)
    expect(decideDeletion(deleted)).toBeNull()
  })
})

describe('a membership', () => {
  const premium = { tier: 'Premium', expiresMs: 5000 } as const

  test('is set, and the same again changes nothing', () => {
    expect(decideMembership(person(), premium)?.set).toEqual({ membership: premium })
    expect(decideMembership(person({ membership: premium }), { ...premium })).toBeNull()
  })

  test('that is Free has no end', () => {
    const wanted = { tier: 'Free', expiresMs: 5000 } as const
    expect(decideMembership(person(), wanted)).toBeNull()
    expect(decideMembership(person({ membership: premium }), wanted)?.set).toEqual({
      membership: freeMembership,
    })
  })

  test('of a removed person is refused', () => {
    expect(() => decideMembership(deleted, premium)).toThrow(refused(/removed/))
  })
})

describe('a profile', () => {
  test('changes what is named and keeps the rest', () => {
    expect(decideProfile(person(), { name: 'Mina' })?.set).toEqual({ name: 'Mina', language: 'ko' })
    expect(decideProfile(person(), { name: 'Mina Moon', language: 'ko' })).toBeNull()
    expect(decideProfile(person(), {})).toBeNull()
  })

  test('that changes leaves no name in the audit log, only that there is a new one', () => {
    expect(decideProfile(person(), { name: 'Mina', language: 'en' })?.audited).toEqual({
      before: { name: '***', language: 'ko' },
      after: { name: '***', language: 'en' },
    })
    expect(decideProfile(person(), { language: 'en' })?.audited).toEqual({
      before: { language: 'ko' },
      after: { language: 'en' },
    })
  })

  test('a new password signs out everywhere else and is told', () => {
    expect(decidePassword('$argon2id$…', 's-1').follows).toEqual([
      { kind: 'EndSessions', reason: 'PasswordChanged', keepSessionId: 's-1' },
      { kind: 'Tell', content: { template: 'PasswordChanged' } },
    ])
  })
})

describe('those who run the site', () => {
  const admin = person({ role: 'super_admin' })
  test.each([
    ['demoted', set(decideRole(admin, 'department_member')), true],
    ['disabled', set(decideDisabling(admin)), true],
    ['removed', set(decideDeletion(admin)), true],
    ['moved', set(decideMove(admin, { department: 'research', keepRole: false })), false],
    ['renamed', set(decideProfile(admin, { name: 'Root' })), false],
  ])('a super admin who is %s leaves them: %s', (_name, change, leaves) => {
    expect(leavesSuperAdmins(admin, change)).toBe(leaves)
  })

  test('do not include a disabled super admin or anybody else', () => {
    const demotion = { role: 'department_member' } as const
    expect(leavesSuperAdmins({ ...admin, state: 'Disabled' }, demotion)).toBe(false)
    expect(leavesSuperAdmins(person(), { state: 'Disabled' })).toBe(false)
    expect(leavesSuperAdmins(person(), { role: 'super_admin' })).toBe(false)
  })
})

describe('the audit log', () => {
  test('keeps only what changed', () => {
    const membership = { tier: 'Premium', expiresMs: 0 } as const
    expect(auditedValues(person(), { membership, role: 'department_member' })).toEqual({
      before: { tier: 'Free', expiresTime: null },
      after: { tier: 'Premium', expiresTime: '1970-01-01T00:00:00.000Z' },
    })
  })

  test('says of a new password only that there is one', () => {
    expect(auditedValues(person(), { passwordHash: 'x' })).toEqual({ before: {}, after: {} })
  })

  test('does not keep the name of who was removed', () => {
    expect(auditedValues(person(), set(decideDeletion(person())))).toEqual({
      before: { state: 'Active' },
      after: { state: 'Deleted' },
    })
  })
})
