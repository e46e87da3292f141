import type { DepartmentSpec } from '../crd/department.ts'
import { jobsNamespace } from '../names.ts'
import { type MonthlyBudget, budgetText } from './budget.ts'
import type { Role } from './permissions.ts'

/** Whether the pictures of a department's jobs carry prompt, seed and settings as PNG text. */
export const downloadRecipes = ['Embedded', 'Omitted'] as const
export type DownloadRecipe = (typeof downloadRecipes)[number]

export type DepartmentLimits = Readonly<NonNullable<DepartmentSpec['limits']>>
export type ManagedBy = DepartmentSpec['managedBy']

/** The part of a department that its custom resource has as well: the scheduling side. */
export type ResourceValues = {
  readonly displayName: string
  readonly weight: number
  readonly namespace: string
  /** An absent one does not bind. */
  readonly limits: DepartmentLimits
  readonly managedBy: ManagedBy
}

/** Everything that is set for a department. */
export type DepartmentValues = ResourceValues & {
  /** Names of Models, LoRAs as well; null: all that are visible to it. */
  readonly allowedModels: readonly string[] | null
  readonly downloadRecipe: DownloadRecipe
  /** Issued to its account every month; null: only what super admins issue by hand. */
  readonly monthlyBudget: MonthlyBudget | null
}

/** What counts where nobody has said anything, the same as in the schema of the resource. */
export const defaultDepartment = {
  weight: 100,
  namespace: jobsNamespace,
  limits: {},
  managedBy: 'api',
  allowedModels: null,
  downloadRecipe: 'Embedded',
  monthlyBudget: null,
} as const satisfies Omit<DepartmentValues, 'displayName'>

type FieldRule = {
  readonly editor: 'super_admin' | 'department_admin'
  /** Whether the custom resource has the field, so that `managedBy: platform` closes it. */
  readonly inResource: boolean
}

/**
 * Who may edit what. A department's admins arrange what is inside it; what it takes from others
 * (its share of the GPUs and its caps) is for super admins. `allowedModels` only narrows what the
 * Models' own visibility grants, so it is harmless in an admin's hands.
 */
export const departmentFields = {
  displayName: { editor: 'department_admin', inResource: true },
  weight: { editor: 'super_admin', inResource: true },
  namespace: { editor: 'super_admin', inResource: true },
  'limits.runningJobs': { editor: 'super_admin', inResource: true },
  'limits.runningJobsPerUser': { editor: 'department_admin', inResource: true },
  'limits.queuedJobs': { editor: 'super_admin', inResource: true },
  managedBy: { editor: 'super_admin', inResource: true },
  allowedModels: { editor: 'department_admin', inResource: false },
  downloadRecipe: { editor: 'department_admin', inResource: false },
  monthlyBudget: { editor: 'super_admin', inResource: false },
} as const satisfies Record<string, FieldRule>
export type DepartmentField = keyof typeof departmentFields

export function mayEditField(role: Role, field: DepartmentField): boolean {
  return role === 'super_admin' || role === departmentFields[field].editor
}

/** All values by field name, flat, as the audit log and comparisons want them. */
export function flattenDepartment(
  values: DepartmentValues,
): Readonly<Record<DepartmentField, string | number | null>> {
  const { displayName, weight, namespace, limits, managedBy } = values
  return {
    displayName,
    weight,
    namespace,
    'limits.runningJobs': limits.runningJobs ?? null,
    'limits.runningJobsPerUser': limits.runningJobsPerUser ?? null,
    'limits.queuedJobs': limits.queuedJobs ?? null,
    managedBy,
    allowedModels: values.allowedModels?.join(' ') ?? null,
    downloadRecipe: values.downloadRecipe,
    monthlyBudget: values.monthlyBudget === null ? null : budgetText(values.monthlyBudget),
  }
}

/** The fields in which two departments differ. */
export function differingFields(
  left: DepartmentValues,
  right: DepartmentValues,
): readonly DepartmentField[] {
  const [before, after] = [flattenDepartment(left), flattenDepartment(right)]
  return fieldNames.filter((field) => before[field] !== after[field])
}

/** The same, as far as the custom resource goes. */
export function differingResourceFields(
  left: ResourceValues,
  right: ResourceValues,
): readonly DepartmentField[] {
  const { allowedModels, downloadRecipe, monthlyBudget } = defaultDepartment
  const rest = { allowedModels, downloadRecipe, monthlyBudget }
  return differingFields({ ...left, ...rest }, { ...right, ...rest })
}

function isField(name: string): name is DepartmentField {
  return name in departmentFields
}

const fieldNames = Object.keys(departmentFields).filter(isField)
