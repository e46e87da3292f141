import type { mongo } from 'mongoose'
import type { Database } from '../../../platform/mongo/database.ts'
import type { AuditAction } from '../../../shared/domain/audit-actions.ts'
import type { AuditEntry } from './entry.ts'

export type AuditQuery = {
  /** Only entries about this department; absent: all. */
  readonly department?: string | undefined
  readonly action?: AuditAction | undefined
  readonly actorId?: string | undefined
  readonly targetId?: string | undefined
  readonly fromMs?: number | undefined
  readonly untilMs?: number | undefined
  /** Ids below this one only. */
  readonly beforeId?: string | undefined
  readonly limit: number
}

/** The only writer of `auditLog`. It has no way to touch an entry again. */
export type AuditLogStore = {
  /** Entries that are there already were written before a crash, and stay as they are. */
  readonly append: (entries: readonly AuditEntry[]) => Promise<void>
  /** Newest first. */
  readonly page: (query: AuditQuery) => Promise<readonly AuditEntry[]>
}

export function createAuditLogStore(database: Database): AuditLogStore {
  const entries = database.documents<AuditEntry>('auditLog')
  return {
    append: async (added) => {
      if (added.length > 0) await entries.insertMissing(added)
    },
    page: async (query) =>
      await entries.find(pageFilter(query), { sort: { _id: -1 }, limit: query.limit }),
  }
}

function pageFilter(query: AuditQuery): mongo.Filter<AuditEntry> {
  const { department, action, actorId, targetId, fromMs, untilMs, beforeId } = query
  const clauses: readonly mongo.Filter<AuditEntry>[] = [
    {},
    ...(department === undefined ? [] : [{ 'target.department': department }]),
    ...(action === undefined ? [] : [{ action }]),
    ...(actorId === undefined ? [] : [{ 'actor.id': actorId }]),
    ...(targetId === undefined ? [] : [{ 'target.id': targetId }]),
    ...(fromMs === undefined ? [] : [{ timeMs: { $gte: fromMs } }]),
    ...(untilMs === undefined ? [] : [{ timeMs: { $lt: untilMs } }]),
    ...(beforeId === undefined ? [] : [{ _id: { $lt: beforeId } }]),
  ]
  return { $and: [...clauses] }
}
