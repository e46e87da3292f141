import type { Database } from '../../../platform/mongo/database.ts'
import type { AuditAction } from '../../../shared/domain/audit-actions.ts'
import type { Caller } from '../../../shared/domain/caller.ts'
import type { AuditValues } from '../audit-log/entry.ts'

/**
 * What a person ordered with one key, written before credits move: so the key stands for one
 * order, and whoever is killed after the movement has left word of whom to tell what.
 */
export type MovementDocument = {
  /** Digest of user and key. */
  readonly _id: string
  /** Digest of user, key, action and body. */
  readonly requestHash: string
  readonly by: Pick<Caller, 'userId' | 'role' | 'department' | 'keyId' | 'origin'>
  readonly action: AuditAction
  /** For the audit log, beside the credits. */
  readonly facts: AuditValues
  readonly accountId: string
  /** Of the ledger: there once credits have moved. */
  readonly entryId: string
  /** The last time that it had not moved yet and was tried. */
  readonly tryTimeMs: number
  /** When all was told, or nothing had moved for so long that there was nothing to tell. */
  readonly toldTimeMs: number | null
}

/** The only writer of the collection `creditMovements`. */
export type MovementStore = {
  /** False when the key is taken. */
  readonly insert: (document: MovementDocument) => Promise<boolean>
  readonly find: (id: string) => Promise<MovementDocument | null>
  /** The same order is tried again, perhaps from elsewhere; null for another one. */
  readonly retry: (document: MovementDocument) => Promise<MovementDocument | null>
  /** Nothing happens when it was tried again meanwhile. */
  readonly setTold: (document: MovementDocument, nowMs: number) => Promise<void>
  /** Those last tried before a time; oldest first. */
  readonly findUntold: (beforeMs: number, limit: number) => Promise<readonly MovementDocument[]>
  readonly removeToldBefore: (timeMs: number) => Promise<number>
}

export function openMovementStore(database: Database): MovementStore {
  const movements = database.documents<MovementDocument>('creditMovements')
  return {
    insert: movements.insert,
    find: movements.findById,
    retry: async ({ _id, requestHash, by, tryTimeMs }) =>
      await movements.findAndUpdate(
        { _id, requestHash },
        { $set: { by, tryTimeMs, toldTimeMs: null } },
      ),
    setTold: async ({ _id, tryTimeMs }, nowMs) => {
      await movements.update({ _id, tryTimeMs }, { $set: { toldTimeMs: nowMs } })
    },
    findUntold: async (beforeMs, limit) => {
      const filter = { toldTimeMs: null, tryTimeMs: { $lt: beforeMs } }
      return await movements.find(filter, { sort: { tryTimeMs: 1 }, limit })
    },
    removeToldBefore: async (timeMs) => await movements.removeMany({ toldTimeMs: { $lt: timeMs } }),
  }
}
