import type { Department } from '../../../shared/crd/department.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import type { BudgetView, DepartmentView, MemberView } from '../../../shared/wire/departments.ts'
import type { UserRow } from '../users/store.ts'
import type { DepartmentRow } from './row.ts'

/** A department as people see it, with what is known of its custom resource. */
export function toDepartmentView(
  row: DepartmentRow,
  resource: Department | undefined,
): DepartmentView {
  const { runningJobs = null, runningJobsPerUser = null, queuedJobs = null } = row.limits
  return {
    name: row._id,
    displayName: row.displayName,
    weight: row.weight,
    namespace: row.namespace,
    limits: { runningJobs, runningJobsPerUser, queuedJobs },
    managedBy: row.managedBy,
    allowedModels: row.allowedModels === null ? null : [...row.allowedModels],
    downloadRecipe: row.downloadRecipe,
    monthlyBudget: toBudgetView(row.monthlyBudget),
    resource: resourceState(row, resource),
    revision: row.revision,
    creationTime: new Date(row.creationTimeMs).toISOString(),
    updateTime: new Date(row.updateTimeMs).toISOString(),
  }
}

export function toBudgetView(budget: DepartmentRow['monthlyBudget']): BudgetView | null {
  if (budget === null) return null
  return { credits: formatCredits(budget.microCredits), carryOver: budget.carryOver }
}

function resourceState(
  { refusal }: DepartmentRow,
  resource: Department | undefined,
): DepartmentView['resource'] {
  if (refusal !== null) return { ready: false, ...refusal }
  if (resource === undefined) {
    return { ready: false, reason: 'Pending', message: 'its Department is on its way' }
  }
  const condition = resource.status?.conditions?.find(({ type }) => type === 'Ready')
  if (condition === undefined) {
    return { ready: false, reason: 'Pending', message: 'the controller has not looked at it yet' }
  }
  const { status, reason, message } = condition
  return { ready: status === 'True', reason, message }
}

export function toMemberView({ _id: id, email, name, role, state }: UserRow): MemberView {
  return { id, email, name, role, state, isAdmin: role !== 'department_member' }
}
