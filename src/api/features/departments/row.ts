import {
  defaultDepartment,
  type DepartmentValues,
  type ManagedBy,
} from '../../../shared/domain/department.ts'
import type { AuditEntry, AuditOutbox } from '../audit-log/entry.ts'

/** The record of one department. `_id` is its name, and that of its custom resource. */
export type DepartmentRow = AuditOutbox &
  DepartmentValues & {
    readonly _id: string
    /**
     * Nobody has decided on its values yet: when there is a resource of its name already, that
     * one's are taken over.
     */
    readonly adopts: boolean
    /** The resource as it was when both were equal last; null when they never were. */
    readonly resource: ResourceSeen | null
    /** Why the API server did not take the resource; null when it did. */
    readonly refusal: Refusal | null
    readonly creationTimeMs: number
    readonly updateTimeMs: number
    /** Grows with every change of the values: the compare-and-set guard. */
    readonly revision: number
  }

export type ResourceSeen = {
  readonly uid: string
  readonly generation: number
  readonly managedBy: ManagedBy
}

export type Refusal = { readonly reason: string; readonly message: string }

/** Rows of earlier releases have nothing but a name for people. */
export type StoredDepartment = { readonly _id: string } & Partial<DepartmentRow>

/** Fills in what an earlier release did not write. */
export function readRow(stored: StoredDepartment): DepartmentRow {
  return {
    ...defaultDepartment,
    displayName: stored._id,
    adopts: true,
    resource: null,
    refusal: null,
    creationTimeMs: 0,
    updateTimeMs: 0,
    revision: 0,
    auditOutbox: [],
    ...stored,
  }
}

export type NewDepartment = {
  readonly name: string
  readonly values: DepartmentValues
  readonly adopts?: boolean
  readonly resource?: ResourceSeen | null
  readonly nowMs: number
  readonly audit: AuditEntry
}

export function newDepartmentRow(from: NewDepartment): DepartmentRow {
  const { name, values, adopts = false, resource = null, nowMs, audit } = from
  return {
    _id: name,
    ...values,
    adopts,
    resource,
    refusal: null,
    creationTimeMs: nowMs,
    updateTimeMs: nowMs,
    revision: 1,
    auditOutbox: [audit],
  }
}

/** The values alone. */
export function valuesOf(row: DepartmentRow): DepartmentValues {
  const { displayName, weight, namespace, limits, managedBy } = row
  const { allowedModels, downloadRecipe, monthlyBudget } = row
  const ofResource = { displayName, weight, namespace, limits, managedBy }
  return { ...ofResource, allowedModels, downloadRecipe, monthlyBudget }
}
