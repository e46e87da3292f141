import type { Clock } from '../../../shared/clock.ts'
import type { Origin } from '../../../shared/domain/caller.ts'
import { freeMembership } from '../../../shared/domain/membership.ts'
import type { AuditFacts, AuditValues, NewAuditEntry } from '../audit-log/entry.ts'
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
      /** What else the entry says beside who was made. */
      readonly facts?: AuditValues
      /** What must follow in other collections, stored with the person of this id. */
      readonly errandsOf?: (userId: string) => readonly Errand[]
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
  parts: DirectoryParts,
  draft: Parameters<Create>[0],
  options: Parameters<Create>[1],
): Promise<UserRow | null> {
  const { users, trail, clock, newId } = parts
  const { identity, by, origin, action, facts, errandsOf, userId = `u-${newId()}` } = options
  const nowMs = clock.nowMs()
  const { userId: _id } = await hold(parts, { ...identity, userId, creationTimeMs: nowMs })
  const { role, department } = draft
  const actor = by ?? { userId: _id, role, department, origin }
  const target = { kind: 'User', id: _id, department }
  // No name: the log outlives the person.
  const after = { role, department, ...facts }
  const row: UserRow = {
    membership: freeMembership,
    state: 'Active',
    ...draft,
    _id,
    creationTimeMs: nowMs,
    updateTimeMs: nowMs,
    revision: 1,
    auditOutbox: [trail.entry(actor, { action, target, after })],
    ...(errandsOf !== undefined && { errands: errandsOf(_id) }),
  }
  if (!(await users.insert(row))) return null
  await trail.relay(users, row)
  return row
}

/** One that a crash left is made new first, so that nobody releases it before its person is there. */
async function hold({ users, identities }: DirectoryParts, wanted: Identity): Promise<Identity> {
  const held = await identities.claim(wanted)
  const isNew = held.creationTimeMs >= wanted.creationTimeMs
  if (isNew || (await users.find(held.userId)) !== null) return held
  return (await identities.renew(held, wanted.creationTimeMs)) ?? (await identities.claim(wanted))
}
