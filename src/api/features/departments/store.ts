import type { Database } from '../../../platform/mongo/database.ts'

/** `_id` is the department's name. */
export type DepartmentRow = { readonly _id: string; readonly displayName: string }

const departmentsMax = 1000

/** The only writer of the collection `departments`. */
export type DepartmentStore = {
  readonly find: (name: string) => Promise<DepartmentRow | null>
  readonly list: () => Promise<readonly DepartmentRow[]>
  /** Makes or replaces the row of this name. */
  readonly put: (row: DepartmentRow) => Promise<void>
}

export function createDepartmentStore(database: Database): DepartmentStore {
  const departments = database.documents<DepartmentRow>('departments')
  return {
    find: departments.findById,
    list: async () => await departments.find({}, { sort: { _id: 1 }, limit: departmentsMax }),
    put: async ({ _id, displayName }) => {
      if (await departments.insert({ _id, displayName })) return
      await departments.update({ _id }, { $set: { displayName } })
    },
  }
}
