import { type Membership, freeMembership } from '../../../shared/domain/membership.ts'
import type { Role } from '../../../shared/domain/permissions.ts'
import type { UserState } from '../../../shared/domain/people.ts'
import { AppError } from '../../../shared/errors.ts'
import type { Language } from '../../../shared/wire/text.ts'
import type { MailContent } from '../../mail/mailer.ts'
import { type AuditFacts, type AuditValues, changedValues } from '../audit-log/entry.ts'
import type { Fact } from '../notifications/contract.ts'
import type { SessionEnd } from '../sessions/contract.ts'
import type { UserChange, UserRow } from './store.ts'

/** What decisions about a person look at. */
export type Person = Pick<
  UserRow,
  'name' | 'language' | 'role' | 'department' | 'state' | 'membership' | 'creationTimeMs'
>

/** What must follow a change in other collections. */
export type Follow =
  | {
      readonly kind: 'EndSessions'
      readonly reason: SessionEnd
      readonly keepSessionId: string | null
    }
  | { readonly kind: 'ReleaseIdentities' }
  | { readonly kind: 'ReleaseIdentity'; readonly identityId: string }
  /** To the department that the person had before the change. */
  | { readonly kind: 'ReturnCredits' }
  /** A mail to the address that the person had before the change. */
  | { readonly kind: 'Tell'; readonly content: MailContent }
  /** Something for their consoles. */
  | { readonly kind: 'Notify'; readonly fact: Fact }

/** A change of one person. Decisions are null when the person is that way already. */
export type Decision = {
  readonly action: AuditFacts['action']
  readonly set: UserChange
  readonly follows: readonly Follow[]
  /** What the audit log keeps of the change; absent: the values that differ. */
  readonly audited?: Pick<AuditFacts, 'before' | 'after'>
}

/** Makes a guest a member. Errors of all decisions: `user.state` with the reason. */
export function decideApproval(person: Person): Decision {
  requireGuest(person)
  requireState(person, ['Active'])
  const { name, department } = person
  const content = { template: 'Approved', name, department } as const
  return {
    action: 'user.approved',
    set: { role: 'department_member' },
    follows: [
      { kind: 'Tell', content },
      { kind: 'Notify', fact: { kind: 'AccountApproved', values: { department } } },
    ],
  }
}

export function decideRejection(person: Person): Decision {
  requireGuest(person)
  const { name, department } = person
  const content = { template: 'Rejected', name, department } as const
  return removal('user.rejected', [{ kind: 'Tell', content }])
}

/** Nobody becomes a guest again, and a guest becomes a member by approval only. */
export function decideRole(person: Person, role: Exclude<Role, 'guest'>): Decision | null {
  requirePresent(person)
  if (person.role === 'guest') throw wrongState('is a guest: approve them first')
  if (person.role === role) return null
  const fact = { kind: 'RoleChanged', values: { role } } as const
  return { action: 'user.role_changed', set: { role }, follows: [{ kind: 'Notify', fact }] }
}

export type Move = { readonly department: string; readonly keepRole: boolean }

/** Somebody who ran the old department does not run the new one unless that is said. */
export function decideMove(person: Person, { department, keepRole }: Move): Decision | null {
  requirePresent(person)
  if (person.department === department) return null
  const stepsDown = person.role === 'department_admin' && !keepRole
  const role = stepsDown ? 'department_member' : person.role
  const fact = { kind: 'DepartmentChanged', values: { department } } as const
  const follows = [{ kind: 'Notify', fact }, { kind: 'ReturnCredits' }] as const
  return { action: 'user.moved', set: { department, role }, follows }
}

export function decideDisabling(person: Person): Decision | null {
  requirePresent(person)
  if (person.state === 'Disabled') return null
  return {
    action: 'user.disabled',
    set: { state: 'Disabled' },
    follows: [endSessions('Disabled')],
  }
}

export function decideEnabling(person: Person): Decision | null {
  requirePresent(person)
  if (person.state === 'Active') return null
  return { action: 'user.enabled', set: { state: 'Active' }, follows: [] }
}

export function decideDeletion(person: Person): Decision | null {
  return person.state === 'Deleted' ? null : removal('user.deleted', [{ kind: 'ReturnCredits' }])
}

/** For guests on whom nobody has decided since `createdBeforeMs`. */
export function decideGuestRemoval(person: Person, createdBeforeMs: number): Decision | null {
  const waitsTooLong = person.role === 'guest' && person.creationTimeMs < createdBeforeMs
  return waitsTooLong && person.state !== 'Deleted' ? removal('user.removed', []) : null
}

/** `Free` has no end: after any other tier's end the person is `Free`. */
export function decideMembership(person: Person, wanted: Membership): Decision | null {
  requirePresent(person)
  const membership = wanted.tier === 'Free' ? freeMembership : wanted
  const { tier, expiresMs } = person.membership
  if (tier === membership.tier && expiresMs === membership.expiresMs) return null
  const fact = { kind: 'MembershipChanged', values: { tier: membership.tier } } as const
  return {
    action: 'user.membership_changed',
    set: { membership },
    follows: [{ kind: 'Notify', fact }],
  }
}

export type ProfileChange = {
  readonly name?: string | undefined
  readonly language?: Language | undefined
}

export function decideProfile(person: Person, change: ProfileChange): Decision | null {
  requirePresent(person)
  const { name = person.name, language = person.language } = change
  if (name === person.name && language === person.language) return null
  const set = { name, language }
  const { before, after } = auditedValues(person, set)
  const renamed: AuditValues = name === person.name ? {} : { name: '***' }
  const audited = { before: { ...renamed, ...before }, after: { ...renamed, ...after } }
  return { action: 'user.profile_changed', set, follows: [], audited }
}

/** Whoever knew the old password is signed out, but for the one who changed it. */
export function decidePassword(passwordHash: string, keepSessionId: string | null): Decision {
  return {
    action: 'user.password_changed',
    set: { passwordHash },
    follows: [
      { kind: 'EndSessions', reason: 'PasswordChanged', keepSessionId },
      { kind: 'Tell', content: { template: 'PasswordChanged' } },
    ],
  }
}

/** Whether a change takes somebody out of those who can run the site. */
export function leavesSuperAdmins(person: Person, set: UserChange): boolean {
  return runsSite(person) && !runsSite({ ...person, ...set })
}

function runsSite({ role, state }: Pick<Person, 'role' | 'state'>): boolean {
  return role === 'super_admin' && state === 'Active'
}

/**
 * The values that the audit log keeps of a change. The log outlives the person: it keeps their id,
 * not their name.
 */
export function auditedValues(person: Person, set: UserChange) {
  return changedValues(valuesOf(person), valuesOf({ ...person, ...set }))
}

function valuesOf({ language, role, department, state, membership }: Person): AuditValues {
  const { tier, expiresMs } = membership
  const expiresTime = expiresMs === null ? null : new Date(expiresMs).toISOString()
  return { language, role, department, state, tier, expiresTime }
}

/** Leaves a tombstone: the history of jobs still has somebody to point at. */
function removal(action: Decision['action'], follows: readonly Follow[]): Decision {
  return {
    action,
    set: { state: 'Deleted', email: '', name: '', passwordHash: null },
    follows: [endSessions('Deleted'), { kind: 'ReleaseIdentities' }, ...follows],
  }
}

function endSessions(reason: SessionEnd): Follow {
  return { kind: 'EndSessions', reason, keepSessionId: null }
}

function requireGuest(person: Person): void {
  requirePresent(person)
  if (person.role !== 'guest') throw wrongState('is not a guest who waits for a decision')
}

function requirePresent(person: Person): void {
  requireState(person, ['Active', 'Disabled'])
}

function requireState({ state }: Person, states: readonly UserState[]): void {
  if (states.includes(state)) return
  throw wrongState(state === 'Deleted' ? 'has been removed' : 'is disabled: enable them first')
}

function wrongState(reason: string): AppError {
  return new AppError('user.state', `this person ${reason}`)
}
