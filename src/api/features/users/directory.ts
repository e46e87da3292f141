import { assert } from '../../../shared/assert.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { Origin } from '../../../shared/domain/caller.ts'
import { freeMembership } from '../../../shared/domain/membership.ts'
import type { NewAuditEntry, AuditFacts } from '../audit-log/entry.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import type { Errand } from './errand.ts'
import { emailIdentity, type Identity, type IdentityStore } from './identities.ts'
import type { IdentityChanges } from './identity-changes.ts'
import type { NewUser, UserChange, UserGuard, UserRow, UserStore } from './store.ts'

export type Changed = {
  readonly guard?: UserGuard
  readonly set: UserChange
  readonly by: NewAuditEntry['by']
  readonly facts: AuditFacts
  readonly errands?: readonly Errand[] | undefined
}

/**
 * People as the features of the api know them: it keeps rows, identities, audit log and the
 * memories of other replicas together, and holds no rule about who may do what.
 */
export type UserDirectory = {
  readonly find: (userId: string) => Promise<UserRow | null>
  /** The person who signs in with this identity; null also for one that a crash left half made. */
  readonly findByIdentity: (identityId: string) => Promise<UserRow | null>
  readonly findByEmail: (email: string) => Promise<UserRow | null>
  /**
   * Makes a person with their first identity. Null when the identity is another person's. Safe to
   * repeat: an identity whose person a crash left out is finished.
   */
  readonly create: (
    draft: Omit<NewUser, '_id'>,
    options: {
      readonly identity: Pick<Identity, '_id' | 'kind'>
      /** Absent for who makes their own account. */
      readonly by?: NewAuditEntry['by']
      /** From where they made it. */
      readonly origin?: Origin | undefined
      readonly action: AuditFacts['action']
      /** Absent: a new one. */
      readonly userId?: string
    },
  ) => Promise<UserRow | null>
  /** Changes a person, writes the audit log and makes every replica forget. Null: guard failed. */
  readonly change: (userId: string, change: Changed) => Promise<UserRow | null>
  readonly identities: IdentityStore
}

export type DirectoryParts = {
  readonly users: UserStore
  readonly identities: IdentityStore
  readonly trail: AuditTrail
  readonly changes: IdentityChanges
  readonly clock: Clock
  readonly newId: () => string
}

export function createUserDirectory(parts: DirectoryParts): UserDirectory {
  const { users, identities, trail, changes, clock } = parts
  const findByIdentity = async (identityId: string): Promise<UserRow | null> => {
    const identity = await identities.find(identityId)
    return identity === null ? null : await users.find(identity.userId)
  }
  return {
    find: users.find,
    findByIdentity,
    findByEmail: async (email) => await findByIdentity(emailIdentity(email)),
    create: async (draft, options) => await create(parts, draft, options),
    change: async (userId, { guard = {}, set, by, facts, errands }) => {
      const audit = trail.entry(by, facts)
      const row = await users.change(userId, guard, { set, audit, nowMs: clock.nowMs(), errands })
      if (row === null) return null
      changes.publish({ kind: 'User', userId })
      await trail.relay(users, row)
      return row
    },
    identities,
  }
}

type Create = UserDirectory['create']

async function create(
  { users, identities, trail, clock, newId }: DirectoryParts,
  draft: Parameters<Create>[0],
  { identity, by, origin, action, userId = `u-${newId()}` }: Parameters<Create>[1],
): Promise<UserRow | null> {
  const nowMs = clock.nowMs()
  const held = await identities.claim({ ...identity, userId, creationTimeMs: nowMs })
  const { email, name, role, department } = draft
  const actor = by ?? { userId: held.userId, role, department, origin }
  const target = { kind: 'User', id: held.userId, department }
  const row: UserRow = {
    membership: freeMembership,
    state: 'Active',
    ...draft,
    _id: held.userId,
    creationTimeMs: nowMs,
    updateTimeMs: nowMs,
    revision: 1,
    auditOutbox: [trail.entry(actor, { action, target, after: { name, role, department } })],
  }
  if (!(await users.insert(row))) return null
  assert(email === '' || row._id === held.userId, 'the identity leads to the row')
  await trail.relay(users, row)
  return row
}
