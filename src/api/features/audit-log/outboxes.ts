import type { Database } from '../../../platform/mongo/database.ts'
import type { Identified } from '../../../platform/mongo/documents.ts'
import type { AuditOutbox } from './entry.ts'
import type { OutboxStore } from './trail.ts'

/** The outbox side of a collection whose documents carry one. */
export function openOutboxes(database: Database, collection: string): OutboxStore {
  const documents = database.documents<AuditOutbox & Identified>(collection)
  return {
    findUnrelayed: async (limit) =>
      await documents.find({ 'auditOutbox._id': { $gt: '' } }, { limit }),
    dropFromOutbox: async (id, entryIds) => {
      const change = { $pull: { auditOutbox: { _id: { $in: [...entryIds] } } } }
      await documents.update({ _id: id }, change)
    },
  }
}
