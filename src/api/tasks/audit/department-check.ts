import type { Department } from '../../../shared/crd/department.ts'
import { auditDepartments } from '../../features/departments/audit.ts'
import type { DepartmentRow } from '../../features/departments/row.ts'
import type { DepartmentStore } from '../../features/departments/store.ts'
import { eachById } from '../pages.ts'
import type { Check, Found } from './check.ts'

export type DepartmentCheckDeps = {
  readonly departmentStore: Pick<DepartmentStore, 'page'>
  /** Those of this installation. */
  readonly listDepartments: () => Promise<readonly Department[]>
}

/** Rows of departments against their custom resources: there are few of them. */
export function openDepartmentCheck(deps: DepartmentCheckDeps): Check {
  const all = async (): Promise<readonly Found[]> => {
    // The list first: a row that a resource was made from was there before it.
    const resources = await deps.listDepartments()
    const rows: DepartmentRow[] = []
    for await (const row of eachById(deps.departmentStore.page)) rows.push(row)
    return auditDepartments(rows, resources).map(({ name: id, message }) => {
      return { subject: id, difference: { kind: 'DepartmentDiffers', id, message } }
    })
  }
  return { name: 'departments', all, changed: all, again: all, checked: () => ({}) }
}
