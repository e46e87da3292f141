import type { mongo } from 'mongoose'
import type { Database } from '../../../platform/mongo/database.ts'
import { unreachable } from '../../../shared/assert.ts'
import type { Membership } from '../../../shared/domain/membership.ts'
import type { UserState } from '../../../shared/domain/people.ts'
import type { Role, VisibleRows } from '../../../shared/domain/permissions.ts'
import type { Language } from '../../../shared/wire/text.ts'
import type { AuditEntry, AuditOutbox } from '../audit-log/entry.ts'
import { openOutboxes } from '../audit-log/outboxes.ts'
import type { OutboxStore } from '../audit-log/trail.ts'
import type { Errand } from './errand.ts'

export type { UserState } from '../../../shared/domain/people.ts'

/** A person. `_id` is an RFC 1123 label that never changes; addresses are identities. */
export type UserRow = AuditOutbox & {
  readonly _id: string
  /** As typed; empty once deleted. `addressKey` of it is an identity. */
  readonly email: string
  readonly name: string
  readonly language: Language
  readonly role: Role
  /** For a guest the department that they asked for. */
  readonly department: string
  /** A deleted person keeps their row as a tombstone, for the history of their jobs. */
  readonly state: UserState
  readonly membership: Membership
  /** PHC string; null for who signs in elsewhere only. */
  readonly passwordHash: string | null
  readonly creationTimeMs: number
  readonly updateTimeMs: number
  /** Grows with every change: the compare-and-set guard. */
  readonly revision: number
  /** What the last changes still owe to other collections, oldest first. */
  readonly errands?: readonly Errand[] | undefined
}

export type NewUser = Pick<
  UserRow,
  '_id' | 'email' | 'name' | 'language' | 'role' | 'department' | 'passwordHash'
> &
  Partial<Pick<UserRow, 'membership' | 'state'>>

export type UserChange = Partial<
  Pick<
    UserRow,
    'email' | 'name' | 'language' | 'role' | 'department' | 'state' | 'membership' | 'passwordHash'
  >
>

/** What must still be true for a change to happen. */
export type UserGuard = {
  readonly revision?: number
  readonly states?: readonly UserState[]
  readonly roles?: readonly Role[]
  readonly department?: string
}

export type UserQuery = {
  readonly rows: VisibleRows
  readonly role?: Role | undefined
  readonly state?: UserState | undefined
  readonly states?: readonly UserState[] | undefined
  readonly department?: string | undefined
  /** Ids above this one only. */
  readonly afterId?: string | undefined
  readonly createdBeforeMs?: number | undefined
  readonly limit: number
}

/** The only writer of the collection `users`. Ids are ULIDs in order of creation. */
export type UserStore = OutboxStore & {
  readonly find: (userId: string) => Promise<UserRow | null>
  /** Those that are there of so many ids, in no order. */
  readonly findMany: (userIds: readonly string[]) => Promise<readonly UserRow[]>
  /** False when the id is taken. */
  readonly insert: (row: UserRow) => Promise<boolean>
  /** Changes the row, its revision and its audit outbox in one write; null when a guard fails. */
  readonly change: (
    userId: string,
    guard: UserGuard,
    change: {
      readonly set: UserChange
      readonly audit: AuditEntry
      readonly nowMs: number
      readonly errands?: readonly Errand[] | undefined
    },
  ) => Promise<UserRow | null>
  /** Makes every change fail that is still under way with this revision; nothing else changes. */
  readonly fence: (userId: string, revision: number) => Promise<void>
  readonly findWithErrands: (limit: number) => Promise<readonly UserRow[]>
  readonly dropErrand: (userId: string, errandId: string) => Promise<void>
  /** By id. */
  readonly page: (query: UserQuery) => Promise<readonly UserRow[]>
}

export function createUserStore(database: Database): UserStore {
  const users = database.documents<UserRow>('users')
  return {
    ...openOutboxes(database, 'users'),
    find: users.findById,
    findMany: async (ids) =>
      ids.length === 0 ? [] : await users.find({ _id: { $in: [...ids] } }, { limit: ids.length }),
    insert: users.insert,
    change: async (userId, guard, { set, audit, nowMs, errands = [] }) =>
      await users.findAndUpdate(guardFilter(userId, guard), {
        $set: { ...set, updateTimeMs: nowMs },
        $inc: { revision: 1 },
        $push: {
          auditOutbox: audit,
          ...(errands.length === 0 ? {} : { errands: { $each: [...errands] } }),
        },
      }),
    fence: async (userId, revision) => {
      await users.update({ _id: userId, revision }, { $inc: { revision: 1 } })
    },
    findWithErrands: async (limit) => await users.find({ 'errands._id': { $gt: '' } }, { limit }),
    dropErrand: async (userId, errandId) => {
      await users.update({ _id: userId }, { $pull: { errands: { _id: errandId } } })
    },
    page: async (query) =>
      await users.find(pageFilter(query), { sort: { _id: 1 }, limit: query.limit }),
  }
}

function guardFilter(userId: string, guard: UserGuard): mongo.Filter<UserRow> {
  return {
    _id: userId,
    ...(guard.revision === undefined ? {} : { revision: guard.revision }),
    ...(guard.states === undefined ? {} : { state: { $in: [...guard.states] } }),
    ...(guard.roles === undefined ? {} : { role: { $in: [...guard.roles] } }),
    ...(guard.department === undefined ? {} : { department: guard.department }),
  }
}

function pageFilter(query: UserQuery): mongo.Filter<UserRow> {
  const { rows, role, state, states, department, afterId, createdBeforeMs } = query
  const clauses: readonly mongo.Filter<UserRow>[] = [
    visibleFilter(rows),
    ...(role === undefined ? [] : [{ role }]),
    ...(state === undefined ? [] : [{ state }]),
    ...(states === undefined ? [] : [{ state: { $in: [...states] } }]),
    ...(department === undefined ? [] : [{ department }]),
    ...(afterId === undefined ? [] : [{ _id: { $gt: afterId } }]),
    ...(createdBeforeMs === undefined ? [] : [{ creationTimeMs: { $lt: createdBeforeMs } }]),
  ]
  return { $and: [...clauses] }
}

function visibleFilter(rows: VisibleRows): mongo.Filter<UserRow> {
  switch (rows.kind) {
    case 'All':
      return {}
    case 'Department':
      return { department: rows.department }
    case 'Own':
      return { _id: rows.user }
    default:
      return unreachable(rows)
  }
}
