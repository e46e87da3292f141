import type { mongo } from 'mongoose'
import type { Database } from '../../../platform/mongo/database.ts'
import type { AuditEntry, AuditOutbox } from '../audit-log/entry.ts'
import { openOutboxes } from '../audit-log/outboxes.ts'
import type { OutboxStore } from '../audit-log/trail.ts'
import type { SessionEnd, SessionMethod } from './contract.ts'

/** What somebody holds after they have proven who they are. Its refresh tokens are a family. */
export type SessionRow = AuditOutbox & {
  readonly _id: string
  readonly userId: string
  readonly method: SessionMethod
  /** SHA-256 of the secret of the only refresh token that counts. */
  readonly refreshHash: string
  readonly creationTimeMs: number
  readonly lastUseTimeMs: number
  /** Moves with every refresh, but never past `lastEndMs`. */
  readonly expiresMs: number
  /** ASVS 5.0, 10.4.8: no refresh carries a session past this. */
  readonly lastEndMs: number
  /** Of the last refresh. */
  readonly ip: string
  readonly userAgent: string
  readonly endedMs: number | null
  readonly endReason: SessionEnd | null
}

export type Rotation = Pick<
  SessionRow,
  'refreshHash' | 'lastUseTimeMs' | 'expiresMs' | 'ip' | 'userAgent'
>

/** The only writer of the collection `sessions`. */
export type SessionStore = OutboxStore & {
  readonly find: (id: string) => Promise<SessionRow | null>
  readonly insert: (row: SessionRow) => Promise<boolean>
  /** Replaces the refresh token if it is still this one and the session lives; else null. */
  readonly rotate: (
    id: string,
    refreshHash: string,
    rotation: Rotation,
  ) => Promise<SessionRow | null>
  /** Ends it with its audit entry; null when it had ended. */
  readonly end: (id: string, end: Ending) => Promise<SessionRow | null>
  /** Live ones of a person, oldest first, at most `limit`. */
  readonly listLive: (
    userId: string,
    options: { readonly nowMs: number; readonly limit: number },
  ) => Promise<readonly SessionRow[]>
  /** Takes away some that expired before a time and whose audit entries are in the log. */
  readonly removeExpired: (beforeMs: number) => Promise<void>
}

export type Ending = {
  readonly endedMs: number
  readonly endReason: SessionEnd
  readonly audit: AuditEntry
}

const removedAtOnceMax = 500

export function createSessionStore(database: Database): SessionStore {
  const sessions = database.documents<SessionRow>('sessions')
  const { find, findById, insert, remove, findAndUpdate } = sessions
  return {
    ...openOutboxes(database, 'sessions'),
    find: findById,
    insert,
    rotate: async (id, refreshHash, rotation) => {
      const expiresMs = { $gt: rotation.lastUseTimeMs }
      return await findAndUpdate(
        { _id: id, refreshHash, endedMs: null, expiresMs },
        { $set: rotation },
      )
    },
    end: async (id, { audit, ...end }) =>
      await findAndUpdate({ _id: id, endedMs: null }, { $set: end, $push: { auditOutbox: audit } }),
    listLive: async (userId, { nowMs, limit }) => {
      const filter: mongo.Filter<SessionRow> = { userId, endedMs: null, expiresMs: { $gt: nowMs } }
      return await find(filter, { sort: { _id: 1 }, limit })
    },
    removeExpired: async (beforeMs) => {
      const expired: mongo.Filter<SessionRow> = {
        expiresMs: { $lt: beforeMs },
        auditOutbox: { $size: 0 },
      }
      for (const { _id } of await find(expired, { limit: removedAtOnceMax })) {
        await remove({ ...expired, _id })
      }
    },
  }
}
