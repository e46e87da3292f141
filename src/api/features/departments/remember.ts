import type { Clock } from '../../../shared/clock.ts'
import { defaultDepartment } from '../../../shared/domain/department.ts'
import type { ModelUser } from '../../../shared/domain/known-model.ts'
import type { DepartmentRow, DepartmentStore } from './store.ts'

/** How long a change that another replica made may go unnoticed; spares a read per request. */
const ageMsMax = 5000
const rememberedMax = 1000

/** The rows of departments as requests need them: a few seconds old at most. */
export type DepartmentMemory = {
  /** Null for a department without a row. */
  readonly departmentOf: (name: string) => Promise<DepartmentRow | null>
  /** After a change of this replica's own. */
  readonly forgetDepartment: (name: string) => void
}

type Remembered = { readonly row: DepartmentRow | null; readonly untilMs: number }

export function rememberDepartments(
  store: Pick<DepartmentStore, 'find'>,
  clock: Clock,
): DepartmentMemory {
  const remembered = new Map<string, Remembered>()
  let epoch = 0
  return {
    departmentOf: async (name) => {
      const known = remembered.get(name)
      if (known !== undefined && known.untilMs > clock.nowMs()) return known.row
      const startEpoch = epoch
      const row = await store.find(name)
      // What was read before a change must not outlive it.
      if (startEpoch !== epoch) return row
      if (remembered.size >= rememberedMax) remembered.clear()
      remembered.set(name, { row, untilMs: clock.nowMs() + ageMsMax })
      return row
    },
    forgetDepartment: (name) => {
      epoch += 1
      remembered.delete(name)
    },
  }
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
