import type { Namespace } from '../../platform/kube/resources.ts'
import { departmentReasons } from '../../shared/crd/conditions.ts'
import type { Department } from '../../shared/crd/department.ts'
import { labels } from '../../shared/names.ts'
import { mergeConditions } from '../conditions.ts'
import { mergePatchBetween } from '../status-patch.ts'

export type DepartmentReason = keyof typeof departmentReasons.Ready

export type DepartmentFacts = {
  readonly department: Department
  /** The one that spec.namespace names. */
  readonly namespace: Namespace | undefined
  readonly nowMs: number
}

/** The status patch that a Department needs, or undefined when its status is right. */
export function decideDepartment(facts: DepartmentFacts): object | undefined {
  const { department, nowMs } = facts
  const { generation } = department.metadata
  const reason = readinessOf(facts)
  const conditions = mergeConditions(
    department.status?.conditions,
    [
      {
        type: 'Ready',
        status: reason === 'Ready' ? 'True' : 'False',
        reason,
        message: departmentReasons.Ready[reason],
      },
    ],
    { generation, nowMs },
  )
  const after = { ...department.status, observedGeneration: generation, conditions }
  return mergePatchBetween(department.status ?? {}, after)
}

function readinessOf({ department, namespace }: DepartmentFacts): DepartmentReason {
  if (namespace === undefined) return 'NamespaceMissing'
  if (namespace.metadata.deletionTimestamp !== undefined) return 'NamespaceMissing'
  const owner = namespace.metadata.labels?.[labels.department]
  const isForeign = owner !== undefined && owner !== department.metadata.name
  return isForeign ? 'NamespaceForeign' : 'Ready'
}
