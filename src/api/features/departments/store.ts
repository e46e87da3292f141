import type { mongo } from 'mongoose'
import type { Database } from '../../../platform/mongo/database.ts'
import type { Clock } from '../../../shared/clock.ts'
import {
  defaultDepartment,
  type DepartmentValues,
  flattenDepartment,
} from '../../../shared/domain/department.ts'
import type { AuditEntry } from '../audit-log/entry.ts'
import { openOutboxes } from '../audit-log/outboxes.ts'
import type { AuditTrail, OutboxStore } from '../audit-log/trail.ts'
import { type DepartmentRow, newDepartmentRow, readRow, type StoredDepartment } from './row.ts'

export type { DepartmentRow } from './row.ts'

/** What the two sides know of each other; noting it is no change of the department. */
export type DepartmentNote = Partial<Pick<DepartmentRow, 'adopts' | 'resource' | 'refusal'>>

export type DepartmentChange = {
  readonly set: Partial<DepartmentValues> & DepartmentNote
  readonly audit: AuditEntry
  readonly nowMs: number
}

export type DepartmentPage = { readonly afterId: string; readonly limit: number }

/** The only writer of the collection `departments`. */
export type DepartmentStore = OutboxStore & {
  readonly find: (name: string) => Promise<DepartmentRow | null>
  /** By name; the first thousand. */
  readonly list: () => Promise<readonly DepartmentRow[]>
  /** By name, those after `afterId`. */
  readonly page: (page: DepartmentPage) => Promise<readonly DepartmentRow[]>
  /** False when the name is taken. */
  readonly insert: (row: DepartmentRow) => Promise<boolean>
  /**
   * Makes a department unless there is one; a custom resource of its name is taken over. For what
   * starts an installation: demo data, the first admin.
   */
  readonly ensure: (department: {
    readonly name: string
    readonly displayName: string
  }) => Promise<void>
  /** Values, revision and audit outbox in one write; null when the row is not at this revision. */
  readonly change: (
    row: Pick<DepartmentRow, '_id' | 'revision'>,
    change: DepartmentChange,
  ) => Promise<DepartmentRow | null>
  /** Notes something and leaves the revision as it is; false when the row has moved on. */
  readonly note: (
    row: Pick<DepartmentRow, '_id' | 'revision'>,
    note: DepartmentNote,
  ) => Promise<boolean>
}

export type DepartmentStoreParts = {
  readonly trail: Pick<AuditTrail, 'entry'>
  readonly clock: Clock
}

const listMax = 1000

export function createDepartmentStore(
  database: Database,
  { trail, clock }: DepartmentStoreParts,
): DepartmentStore {
  const departments = database.documents<StoredDepartment>('departments')
  const page = async ({ afterId, limit }: DepartmentPage) => {
    const found = await departments.find({ _id: { $gt: afterId } }, { sort: { _id: 1 }, limit })
    return found.map(readRow)
  }
  return {
    ...openOutboxes(database, 'departments'),
    find: async (name) => {
      const stored = await departments.findById(name)
      return stored === null ? null : readRow(stored)
    },
    list: async () => await page({ afterId: '', limit: listMax }),
    page,
    insert: departments.insert,
    ensure: async ({ name, displayName }) => {
      const values = { ...defaultDepartment, displayName }
      const facts = { target: { kind: 'Department', id: name, department: name } } as const
      const after = flattenDepartment(values)
      const audit = trail.entry('setup', { ...facts, action: 'department.created', after })
      const nowMs = clock.nowMs()
      await departments.insert(newDepartmentRow({ name, values, adopts: true, nowMs, audit }))
    },
    change: async (row, { set, audit, nowMs }) => {
      const changed = await departments.findAndUpdate(guardFilter(row), {
        $set: { ...set, updateTimeMs: nowMs },
        $inc: { revision: 1 },
        $push: { auditOutbox: audit },
      })
      return changed === null ? null : readRow(changed)
    },
    note: async (row, note) => await departments.update(guardFilter(row), { $set: note }),
  }
}

/** A row of an earlier release has no revision, which reads as 0. */
function guardFilter({
  _id,
  revision,
}: Pick<DepartmentRow, '_id' | 'revision'>): mongo.Filter<StoredDepartment> {
  return revision === 0 ? { _id, revision: { $exists: false } } : { _id, revision }
}
