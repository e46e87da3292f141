import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import type { DepartmentView } from '../../../shared/wire/departments.ts'
import type { Page, PageQuery } from '../../../shared/wire/pages.ts'
import { pageOf } from '../../pages.ts'
import type { DepartmentRow, DepartmentStore } from './store.ts'

export type DepartmentService = {
  /** By name: all for super admins, everybody else sees their own. */
  readonly list: (caller: Caller, query: PageQuery) => Promise<Page<DepartmentView>>
}

export function createDepartmentService(departments: DepartmentStore): DepartmentService {
  return {
    list: async (caller, query) => {
      requirePermission(caller, 'departments.read')
      const rows = await departments.list()
      const visible = rows.filter(
        ({ _id }) => caller.role === 'super_admin' || _id === caller.department,
      )
      return pageOf(visible.map(toView), query, ({ name }) => name)
    },
  }
}

function toView({ _id, displayName }: DepartmentRow): DepartmentView {
  return { name: _id, displayName }
}
