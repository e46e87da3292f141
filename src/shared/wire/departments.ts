import { z } from 'zod'
import { labelName } from '../crd/common.ts'

const departmentView = z
  .object({ name: labelName, displayName: z.string() })
  .meta({ id: 'Department' })
export type DepartmentView = z.infer<typeof departmentView>

export const departmentPage = z
  .object({ items: z.array(departmentView), next: z.string().nullable() })
  .meta({ id: 'DepartmentPage' })
