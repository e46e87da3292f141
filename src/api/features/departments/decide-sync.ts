import type { Department, DepartmentSpec } from '../../../shared/crd/department.ts'
import {
  defaultDepartment,
  type DepartmentLimits,
  differingResourceFields,
  type ResourceValues,
} from '../../../shared/domain/department.ts'
import type { DepartmentRow, ResourceSeen } from './row.ts'

/** The next single write that brings row and resource closer; each may be repeated. */
export type SyncStep =
  | { readonly kind: 'None' }
  /** The row does not exist: make it from the resource. */
  | { readonly kind: 'Adopt'; readonly values: ResourceValues; readonly seen: ResourceSeen }
  /** The row takes over what the resource says. */
  | {
      readonly kind: 'Follow'
      readonly row: DepartmentRow
      readonly values: ResourceValues
      readonly seen: ResourceSeen
    }
  | { readonly kind: 'Create'; readonly spec: DepartmentSpec }
  | { readonly kind: 'Patch'; readonly resource: Department; readonly spec: object }
  /** Both are equal and the row does not know it yet. */
  | { readonly kind: 'Note'; readonly row: DepartmentRow; readonly seen: ResourceSeen }

const none: SyncStep = { kind: 'None' }

/**
 * Who is right where row and resource differ. `spec.managedBy` says it: `api` the row, `platform`
 * the resource. Of `managedBy` itself the side that changed since both were equal is right. The
 * namespace cannot be patched, so a resource that is there is right about it.
 */
export function decideSync(row: DepartmentRow | null, resource: Department | undefined): SyncStep {
  if (resource === undefined) {
    return row === null ? none : { kind: 'Create', spec: specOf(row) }
  }
  if (resource.metadata.deletionTimestamp !== undefined) return none
  if (row === null) {
    return { kind: 'Adopt', values: resourceValues(resource), seen: seenOf(resource) }
  }
  if (isStale(row, resource)) return none
  const seen = seenOf(resource)
  const values = valuesAfter(row, resource)
  if (differingResourceFields(row, values).length > 0) return { kind: 'Follow', row, values, seen }
  const isEqual = differingResourceFields(row, resourceValues(resource)).length === 0
  if (!isEqual) return { kind: 'Patch', resource, spec: patchOf(row) }
  return isNoted(row, seen) ? none : { kind: 'Note', row, seen }
}

/** What a resource says, with what its schema and we fill in. */
export function resourceValues({ metadata, spec }: Department): ResourceValues {
  const { displayName = metadata.name, weight, namespace, limits = {}, managedBy } = spec
  return { displayName, weight, namespace, limits, managedBy }
}

/** An older state of the resource than the row has seen: somebody else was faster. */
function isStale({ resource: seen }: DepartmentRow, { metadata }: Department): boolean {
  return seen !== null && seen.uid === metadata.uid && metadata.generation < seen.generation
}

/** The row as the resource wants it. */
function valuesAfter(row: DepartmentRow, resource: Department): ResourceValues {
  const said = resourceValues(resource)
  if (said.managedBy === 'platform') return said
  const { displayName, weight, limits, managedBy } = row
  if (row.adopts) {
    return resource.spec.displayName === undefined ? { ...said, displayName } : said
  }
  const isHandedBack = managedBy === 'platform' && row.resource?.managedBy === 'platform'
  const { namespace } = said
  return { displayName, weight, limits, namespace, managedBy: isHandedBack ? 'api' : managedBy }
}

function seenOf({ metadata, spec }: Department): ResourceSeen {
  const { uid, generation } = metadata
  return { uid, generation, managedBy: spec.managedBy }
}

function isNoted({ adopts, resource, refusal }: DepartmentRow, seen: ResourceSeen): boolean {
  if (adopts || refusal !== null || resource === null) return false
  return (
    resource.uid === seen.uid &&
    resource.generation === seen.generation &&
    resource.managedBy === seen.managedBy
  )
}

function specOf({ displayName, weight, namespace, limits, managedBy }: DepartmentRow) {
  return { displayName, weight, namespace, limits, managedBy } satisfies DepartmentSpec
}

/** A JSON merge patch: what the row does not have must be given as null. */
function patchOf({ displayName, weight, limits, managedBy }: DepartmentRow): object {
  return { displayName, weight, managedBy, limits: { ...noLimits, ...limits } }
}

const noLimits = {
  runningJobs: null,
  runningJobsPerUser: null,
  queuedJobs: null,
} satisfies Record<keyof DepartmentLimits, null>

/** What the resource has no place for, for a row that is made from one. */
export const rowOnly = {
  allowedModels: defaultDepartment.allowedModels,
  downloadRecipe: defaultDepartment.downloadRecipe,
  monthlyBudget: defaultDepartment.monthlyBudget,
} as const
