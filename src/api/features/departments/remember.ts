import type { Clock } from '../../../shared/clock.ts'
import { defaultDepartment } from '../../../shared/domain/department.ts'
import type { ModelUser } from '../../../shared/domain/known-model.ts'
import { openShortMemory } from '../../short-memory.ts'
import type { DepartmentRow, DepartmentStore } from './store.ts'

/** How long a change that another replica made may go unnoticed; spares a read per request. */
const ageMsMax = 5000
const sizeMax = 1000

/** The rows of departments as requests need them: a few seconds old at most. */
export type DepartmentMemory = {
  /** Null for a department without a row. */
  readonly departmentOf: (name: string) => Promise<DepartmentRow | null>
  /** After a change of this replica's own. */
  readonly forgetDepartment: (name: string) => void
}

export function rememberDepartments(
  store: Pick<DepartmentStore, 'find'>,
  clock: Clock,
): DepartmentMemory {
  const memory = openShortMemory({ read: store.find, clock, ageMsMax, sizeMax })
  return { departmentOf: memory.get, forgetDepartment: memory.forget }
}

/** A department as the use of models is decided for it; without a row nothing is shut out. */
export async function modelUserOf(
  { departmentOf }: Pick<DepartmentMemory, 'departmentOf'>,
  name: string,
): Promise<ModelUser> {
  const row = await departmentOf(name)
  return { name, allowedModels: row?.allowedModels ?? null }
}

/** What a job takes over from its department when it is accepted. */
export type JobPolicy = { readonly namespace: string; readonly embedRecipe: boolean }

export async function jobPolicyOf(
  { departmentOf }: Pick<DepartmentMemory, 'departmentOf'>,
  name: string,
): Promise<JobPolicy> {
  const { namespace, downloadRecipe } = (await departmentOf(name)) ?? defaultDepartment
  return { namespace, embedRecipe: downloadRecipe === 'Embedded' }
}
