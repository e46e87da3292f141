import type { Department } from '../../../shared/crd/department.ts'
import { differingResourceFields } from '../../../shared/domain/department.ts'
import { resourceValues } from './decide-sync.ts'
import type { DepartmentRow } from './row.ts'

/** A department whose row and custom resource are not equal. */
export type DepartmentDifference = { readonly name: string; readonly message: string }

/** All rows against all resources, in both directions. */
export function auditDepartments(
  rows: readonly DepartmentRow[],
  resources: readonly Department[],
): readonly DepartmentDifference[] {
  const byName = new Map(resources.map((resource) => [resource.metadata.name, resource]))
  const names = new Set(rows.map(({ _id }) => _id))
  const rowsFound = rows.flatMap((row) => differenceOf(row, byName.get(row._id)))
  const alone = [...byName.keys()].filter((name) => !names.has(name))
  return [...rowsFound, ...alone.map((name) => ({ name, message: 'the api has no row' }))]
}

function differenceOf(
  row: DepartmentRow,
  resource: Department | undefined,
): readonly DepartmentDifference[] {
  const name = row._id
  if (resource === undefined) return [{ name, message: 'its Department is missing' }]
  const fields = differingResourceFields(row, resourceValues(resource))
  return fields.length === 0 ? [] : [{ name, message: `${fields.join(', ')} differ` }]
}
