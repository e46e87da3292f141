import type { mongo } from 'mongoose'
import type { Database } from '../../../platform/mongo/database.ts'
import type { Permission } from '../../../shared/domain/permissions.ts'
import type { AuditEntry, AuditOutbox } from '../audit-log/entry.ts'
import { openOutboxes } from '../audit-log/outboxes.ts'
import type { OutboxStore } from '../audit-log/trail.ts'

/** Lets a program act as its owner, within its scopes. */
export type ApiKeyRow = AuditOutbox & {
  readonly _id: string
  readonly userId: string
  readonly name: string
  /** SHA-256 of its secret. */
  readonly hash: string
  readonly scopes: readonly Permission[]
  readonly creationTimeMs: number
  readonly expiresMs: number | null
  readonly lastUseMs: number | null
  readonly revokedMs: number | null
}

/** The only writer of the collection `apiKeys`. */
export type ApiKeyStore = OutboxStore & {
  readonly find: (id: string) => Promise<ApiKeyRow | null>
  readonly insert: (row: ApiKeyRow) => Promise<boolean>
  /** Null when it is another's, unknown or revoked already. */
  readonly revoke: (
    id: string,
    change: { readonly userId: string; readonly revokedMs: number; readonly audit: AuditEntry },
  ) => Promise<ApiKeyRow | null>
  /** Notes a use unless a later one than `unlessAfterMs` is noted. */
  readonly touch: (
    id: string,
    use: { readonly lastUseMs: number; readonly unlessAfterMs: number },
  ) => Promise<void>
  /** Those that were not revoked, expired ones too, oldest first. */
  readonly page: (
    userId: string,
    query: { readonly afterId?: string | undefined; readonly limit: number },
  ) => Promise<readonly ApiKeyRow[]>
  /** Those that are good, up to `countMax`. */
  readonly countLive: (
    userId: string,
    options: { readonly nowMs: number; readonly countMax: number },
  ) => Promise<number>
  /** Takes away some that were revoked or expired before a time. */
  readonly removeDead: (beforeMs: number) => Promise<void>
}

const removedAtOnceMax = 500

export function createApiKeyStore(database: Database): ApiKeyStore {
  const keys = database.documents<ApiKeyRow>('apiKeys')
  return {
    ...openOutboxes(database, 'apiKeys'),
    find: keys.findById,
    insert: keys.insert,
    revoke: async (id, { userId, revokedMs, audit }) =>
      await keys.findAndUpdate(
        { _id: id, userId, revokedMs: null },
        { $set: { revokedMs }, $push: { auditOutbox: audit } },
      ),
    touch: async (id, { lastUseMs, unlessAfterMs }) => {
      const isOlder: mongo.Filter<ApiKeyRow> = {
        $or: [{ lastUseMs: null }, { lastUseMs: { $lte: unlessAfterMs } }],
      }
      await keys.update({ _id: id, ...isOlder }, { $set: { lastUseMs } })
    },
    page: async (userId, { afterId = '', limit }) => {
      const filter = { userId, revokedMs: null, _id: { $gt: afterId } }
      return await keys.find(filter, { sort: { _id: 1 }, limit })
    },
    countLive: async (userId, { nowMs, countMax }) => {
      const isGood = { $or: [{ expiresMs: null }, { expiresMs: { $gt: nowMs } }] }
      return await keys.count({ userId, revokedMs: null, ...isGood }, countMax)
    },
    removeDead: async (beforeMs) => {
      const dead: mongo.Filter<ApiKeyRow> = {
        $or: [{ revokedMs: { $lt: beforeMs } }, { expiresMs: { $lt: beforeMs } }],
        auditOutbox: { $size: 0 },
      }
      for (const { _id } of await keys.find(dead, { limit: removedAtOnceMax })) {
        await keys.remove({ ...dead, _id })
      }
    },
  }
}
