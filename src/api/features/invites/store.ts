import type { mongo } from 'mongoose'
import type { Database } from '../../../platform/mongo/database.ts'
import { unreachable } from '../../../shared/assert.ts'
import type { VisibleRows } from '../../../shared/domain/permissions.ts'
import type { InviteRole } from '../../../shared/wire/invites.ts'
import type { Language } from '../../../shared/wire/text.ts'
import type { AuditEntry, AuditOutbox } from '../audit-log/entry.ts'
import { openOutboxes } from '../audit-log/outboxes.ts'
import type { OutboxStore } from '../audit-log/trail.ts'

/** As whom the platform itself invites: no person's id. */
export const firstAdminInviter = 'first-admin'

/** Somebody is asked to join. The token is in the mail only. */
export type InviteRow = AuditOutbox & {
  /** A ULID: invites are listed in its order, newest first. */
  readonly _id: string
  /** Keyed digest of `addressKey`: what invites of one address are found by. */
  readonly emailKey: string
  readonly email: string
  readonly name: string | null
  readonly department: string
  readonly role: InviteRole
  readonly language: Language
  /** SHA-256: the token has 256 random bits. */
  readonly tokenHash: string
  readonly state: 'Open' | 'Accepted' | 'Revoked'
  /** User id, or `firstAdminInviter`. */
  readonly by: string
  readonly creationTimeMs: number
  readonly expiresMs: number
  /**
   * When its mail was stored and all older invites were ended. Null: a crash may have come before,
   * and nobody has the token. Absent: of an earlier release, and mailed.
   */
  readonly mailedMs?: number | null
}

export type InviteEnd = {
  readonly state: 'Accepted' | 'Revoked'
  /** Absent when another document keeps the entry. */
  readonly audit?: AuditEntry
}

export type InviteQuery = {
  readonly rows: VisibleRows
  /** Ids below this one only. */
  readonly beforeId?: string | undefined
  readonly limit: number
}

/** The only writer of the collection `invites`. */
export type InviteStore = OutboxStore & {
  readonly find: (id: string) => Promise<InviteRow | null>
  /** Throws for an id that is taken: they are random. */
  readonly insert: (row: InviteRow) => Promise<void>
  readonly markMailed: (id: string, nowMs: number) => Promise<void>
  /** Open invites of one address that have not expired; the oldest hundred. */
  readonly findOpen: (emailKey: string, nowMs: number) => Promise<readonly InviteRow[]>
  /** Ends an open invite, for one of all callers; null for the others and for an expired one. */
  readonly end: (id: string, nowMs: number, end: InviteEnd) => Promise<InviteRow | null>
  /** Newest first. */
  readonly page: (query: InviteQuery) => Promise<readonly InviteRow[]>
  /** Removes what expired before this moment. */
  readonly removeOld: (beforeMs: number) => Promise<void>
}

const openMax = 100

export function createInviteStore(database: Database): InviteStore {
  const invites = database.documents<InviteRow>('invites')
  return {
    ...openOutboxes(database, 'invites'),
    find: invites.findById,
    insert: async (row) => {
      if (!(await invites.insert(row))) throw new Error('an invite id was made twice')
    },
    markMailed: async (_id, nowMs) => {
      await invites.update({ _id }, { $set: { mailedMs: nowMs } })
    },
    findOpen: async (emailKey, nowMs) =>
      await invites.find(
        { emailKey, state: 'Open', expiresMs: { $gt: nowMs } },
        { sort: { _id: 1 }, limit: openMax },
      ),
    end: async (_id, nowMs, { state, audit }) =>
      await invites.findAndUpdate(
        { _id, state: 'Open', expiresMs: { $gt: nowMs } },
        { $set: { state }, ...(audit === undefined ? {} : { $push: { auditOutbox: audit } }) },
      ),
    page: async ({ rows, beforeId, limit }) => {
      const after = beforeId === undefined ? {} : { _id: { $lt: beforeId } }
      const filter = { $and: [visibleFilter(rows), after] }
      return await invites.find(filter, { sort: { _id: -1 }, limit })
    },
    removeOld: async (beforeMs) => {
      await invites.removeMany({ expiresMs: { $lte: beforeMs }, auditOutbox: { $size: 0 } })
    },
  }
}

/** Invites belong to departments: whoever may invite at all sees those of their own. */
function visibleFilter(rows: VisibleRows): mongo.Filter<InviteRow> {
  switch (rows.kind) {
    case 'All':
      return {}
    case 'Department':
      return { department: rows.department }
    case 'Own':
      return { department: rows.department, by: rows.user }
    default:
      return unreachable(rows)
  }
}
