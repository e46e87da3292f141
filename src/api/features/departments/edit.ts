import type { MonthlyBudget } from '../../../shared/domain/budget.ts'
import {
  defaultDepartment,
  type DepartmentField,
  departmentFields,
  type DepartmentLimits,
  type DepartmentValues,
  mayEditField,
} from '../../../shared/domain/department.ts'
import type { Role } from '../../../shared/domain/permissions.ts'
import { parseCredits } from '../../../shared/domain/price.ts'
import { AppError, type ErrorCode } from '../../../shared/errors.ts'
import type {
  DepartmentChangeRequest,
  NewDepartmentRequest,
} from '../../../shared/wire/departments.ts'

/** The values of a new department: what the request leaves out is the default. */
export function newValues(request: NewDepartmentRequest): DepartmentValues {
  const { displayName, namespace = defaultDepartment.namespace } = request
  return editedValues({ ...defaultDepartment, displayName, namespace }, request)
}

type Edit = Omit<DepartmentChangeRequest, 'revision'>

/** The values after an edit: what it leaves out stays. */
export function editedValues(values: DepartmentValues, edit: Edit): DepartmentValues {
  return {
    displayName: edit.displayName ?? values.displayName,
    weight: edit.weight ?? values.weight,
    namespace: values.namespace,
    limits: editedLimits(values.limits, edit.limits ?? {}),
    managedBy: edit.managedBy ?? values.managedBy,
    allowedModels: edit.allowedModels === undefined ? values.allowedModels : edit.allowedModels,
    downloadRecipe: edit.downloadRecipe ?? values.downloadRecipe,
    monthlyBudget:
      edit.monthlyBudget === undefined ? values.monthlyBudget : readBudget(edit.monthlyBudget),
  }
}

function readBudget(budget: NonNullable<Edit['monthlyBudget']> | null): MonthlyBudget | null {
  if (budget === null) return null
  return { microCredits: parseCredits(budget.credits), carryOver: budget.carryOver }
}

/** A null in the edit takes the limit away; absent ones are not stored at all. */
function editedLimits(
  limits: DepartmentLimits,
  edit: NonNullable<Edit['limits']>,
): DepartmentLimits {
  const merged = { ...limits, ...withoutUndefined(edit) }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== null))
}

function withoutUndefined<T extends object>(values: T): Partial<T> {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  // Partial: only keys of the argument are left.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
  return Object.fromEntries(entries) as Partial<T>
}

export type EditWish = {
  readonly role: Role
  /** Whether the resource is the truth. */
  readonly isPlatforms: boolean
  /** What the edit would change; giving back what is there is no edit. */
  readonly fields: readonly DepartmentField[]
}

/**
 * Why an edit is refused, naming each field; null when it is not.
 * Codes: `auth.forbidden` before `department.managed_by_platform`.
 */
export function refusalOfEdit({ role, isPlatforms, fields }: EditWish): AppError | null {
  const forbidden = fields.filter((field) => !mayEditField(role, field))
  if (forbidden.length > 0) {
    return refusal('auth.forbidden', forbidden, 'only a super admin may change')
  }
  const closed = fields.filter((field) => isPlatforms && departmentFields[field].inResource)
  if (closed.length === 0) return null
  return refusal('department.managed_by_platform', closed, 'only its Department resource changes')
}

function refusal(code: ErrorCode, fields: readonly DepartmentField[], why: string): AppError {
  return new AppError(code, `${why} ${fields.join(', ')}`, {
    fields: fields.map((field) => ({ path: `/${field.replace('.', '/')}`, message: `${why} it` })),
  })
}
