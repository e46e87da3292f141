import * as fc from 'fast-check'
import { auditEntry } from '../../../src/api/features/audit-log/entry.ts'
import {
  decideSync,
  rowOnly,
  type SyncStep,
} from '../../../src/api/features/departments/decide-sync.ts'
import { editedValues } from '../../../src/api/features/departments/edit.ts'
import {
  type DepartmentRow,
  newDepartmentRow,
  readRow,
} from '../../../src/api/features/departments/row.ts'
import { unreachable } from '../../../src/shared/assert.ts'
import {
  type Department,
  type DepartmentSpec,
  departmentSpec,
} from '../../../src/shared/crd/department.ts'

export const name = 'vision'

export function resourceOf(
  spec: Partial<DepartmentSpec> = {},
  generation = 1,
  uid = 'uid-1',
): Department {
  return {
    apiVersion: 'atelier.dev/v1alpha1',
    kind: 'Department',
    metadata: { name, uid, generation, resourceVersion: '1', creationTimestamp: '' },
    spec: departmentSpec.parse(spec),
  }
}

export function rowOf(changes: Partial<DepartmentRow> = {}): DepartmentRow {
  return { ...readRow({ _id: name }), adopts: false, revision: 1, ...changes }
}

export type World = {
  readonly row: DepartmentRow | null
  readonly resource: Department | undefined
  /** How many resources there were: no uid is ever given twice. */
  readonly made: number
}

/** A resource as the API server makes it. */
function create({ row, made }: World, spec: Partial<DepartmentSpec>): World {
  return { row, made: made + 1, resource: resourceOf(spec, 1, `made-${made}`) }
}

const audit = auditEntry(
  { id: '1', nowMs: 0, by: 'test' },
  {
    action: 'department.created',
    target: { kind: 'Department', id: name, department: name },
  },
)

/** What the API server and the database make of a step. */
function take(world: World, step: SyncStep): World {
  switch (step.kind) {
    case 'None':
      return world
    case 'Adopt': {
      const values = { ...step.values, ...rowOnly }
      const adopted = newDepartmentRow({ name, values, resource: step.seen, nowMs: 0, audit })
      return { ...world, row: adopted }
    }
    case 'Follow':
      return {
        ...world,
        row: { ...step.row, ...step.values, resource: step.seen, adopts: false },
      }
    case 'Note':
      return { ...world, row: { ...step.row, resource: step.seen, adopts: false } }
    case 'Create':
      return create(world, step.spec)
    case 'Patch': {
      const { generation, uid } = step.resource.metadata
      const { limits, ...spec } = merged(step.resource.spec, step.spec)
      const kept = Object.entries(limits ?? {}).filter(([, value]) => value !== null)
      return {
        ...world,
        resource: resourceOf({ ...spec, limits: Object.fromEntries(kept) }, generation + 1, uid),
      }
    }
    default:
      return unreachable(step)
  }
}

function merged(spec: DepartmentSpec, patch: object): DepartmentSpec {
  return { ...spec, ...patch, namespace: spec.namespace }
}

export function settle(world: World): World {
  let now = world
  for (let steps = 0; steps < 6; steps += 1) {
    const step = decideSync(now.row, now.resource)
    if (step.kind === 'None') return now
    now = take(now, step)
  }
  throw new Error('row and resource never rest')
}

const cap = fc.integer({ min: 0, max: 9 })
const edit = fc.record(
  {
    weight: fc.integer({ min: 1, max: 5 }),
    displayName: fc.constantFrom('A', 'B', name),
    managedBy: fc.constantFrom('api' as const, 'platform' as const),
    limits: fc.record({ runningJobs: cap, queuedJobs: cap }, { requiredKeys: [] }),
  },
  { requiredKeys: [] },
)
export const action = fc.oneof(
  edit.map((by) => ({ kind: 'Rest', by }) as const),
  edit.map((by) => ({ kind: 'Kubectl', by }) as const),
  fc.constant({ kind: 'Delete' } as const),
  fc.constant({ kind: 'Step' } as const),
  fc.constantFrom('a', 'b').map((namespace) => ({ kind: 'Recreate', namespace }) as const),
)
type Action = typeof action extends fc.Arbitrary<infer T> ? T : never

export function act(world: World, wish: Action): World {
  const { row, resource } = world
  switch (wish.kind) {
    case 'Rest': {
      if (row === null || row.managedBy === 'platform') return world
      return { ...world, row: { ...row, ...editedValues(row, wish.by), adopts: false } }
    }
    case 'Kubectl': {
      if (resource === undefined) return create(world, wish.by)
      const { uid, generation } = resource.metadata
      return { ...world, resource: resourceOf(merged(resource.spec, wish.by), generation + 1, uid) }
    }
    case 'Delete':
      return { ...world, resource: undefined }
    case 'Recreate':
      return create(world, { namespace: wish.namespace })
    case 'Step':
      return take(world, decideSync(row, resource))
    default:
      return unreachable(wish)
  }
}
