import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { auditDepartments } from '../../../src/api/features/departments/audit.ts'
import {
  decideSync,
  resourceValues,
  type SyncStep,
} from '../../../src/api/features/departments/decide-sync.ts'
import type { DepartmentRow } from '../../../src/api/features/departments/row.ts'
import { assert } from '../../../src/shared/assert.ts'
import type { Department } from '../../../src/shared/crd/department.ts'
import { act, action, name, resourceOf, rowOf, settle } from './department-world.ts'

const seen = { uid: 'uid-1', generation: 1, managedBy: 'api' } as const

describe('the next step between a department and its resource', () => {
  it.each<[string, DepartmentRow | null, Department | undefined, object]>([
    ['nothing there', null, undefined, { kind: 'None' }],
    ['no resource', rowOf({ weight: 7 }), undefined, { kind: 'Create', spec: { weight: 7 } }],
    [
      'a deleted one of the platform',
      rowOf({ managedBy: 'platform' }),
      undefined,
      { kind: 'Create', spec: { managedBy: 'platform' } },
    ],
    ['no row', null, resourceOf({ weight: 7 }), { kind: 'Adopt', values: { weight: 7 } }],
    ['equal but not noted', rowOf({ displayName: name }), resourceOf(), { kind: 'Note', seen }],
    ['equal and noted', rowOf({ displayName: name, resource: seen }), resourceOf(), none()],
    [
      'equal after a refusal',
      rowOf({ resource: seen, refusal: { reason: 'Invalid', message: '' } }),
      resourceOf(),
      { kind: 'Note' },
    ],
    [
      'drift of the api’s',
      rowOf({ resource: seen, limits: { queuedJobs: 3 } }),
      resourceOf({ weight: 7, limits: { runningJobs: 1 } }, 2),
      {
        kind: 'Patch',
        spec: {
          weight: 100,
          limits: { runningJobs: null, runningJobsPerUser: null, queuedJobs: 3 },
        },
      },
    ],
    [
      'an edit of the platform’s',
      rowOf({ resource: { ...seen, managedBy: 'platform' }, managedBy: 'platform' }),
      resourceOf({ weight: 7, managedBy: 'platform' }, 2),
      { kind: 'Follow', values: { weight: 7, managedBy: 'platform' } },
    ],
    [
      'a takeover by the platform',
      rowOf({ resource: seen, weight: 5 }),
      resourceOf({ weight: 7, managedBy: 'platform' }, 2),
      { kind: 'Follow', values: { weight: 7, managedBy: 'platform' } },
    ],
    [
      'a handover by the api',
      rowOf({ resource: seen, managedBy: 'platform' }),
      resourceOf(),
      { kind: 'Patch', spec: { managedBy: 'platform' } },
    ],
    [
      'a row that is given back the truth',
      rowOf({ resource: { ...seen, managedBy: 'platform' }, managedBy: 'platform', weight: 5 }),
      resourceOf({ weight: 7 }, 2),
      { kind: 'Follow', values: { weight: 5, managedBy: 'api' } },
    ],
    [
      'another namespace, which cannot be patched',
      rowOf({ weight: 5 }),
      resourceOf({ namespace: 'elsewhere' }),
      { kind: 'Follow', values: { weight: 5, namespace: 'elsewhere' } },
    ],
    [
      'a row that nobody has decided on',
      rowOf({ adopts: true, displayName: 'Vision' }),
      resourceOf({ weight: 7 }),
      { kind: 'Follow', values: { weight: 7, displayName: 'Vision' } },
    ],
    [
      'an old state of the resource',
      rowOf({ resource: { ...seen, generation: 3 } }),
      resourceOf({ weight: 7, managedBy: 'platform' }, 2),
      none(),
    ],
    [
      'a new resource of the same name',
      rowOf({ resource: { ...seen, generation: 3 }, displayName: name }),
      resourceOf({}, 1, 'uid-2'),
      { kind: 'Note', seen: { ...seen, uid: 'uid-2' } },
    ],
  ])('%s', (_what, ...[row, resource, step]) => {
    expect(decideSync(row, resource)).toMatchObject(step)
  })

  it('waits while the resource is being deleted', () => {
    const resource = resourceOf({ weight: 7 })
    const metadata = { ...resource.metadata, deletionTimestamp: '2031-01-01T00:00:00Z' }
    expect(decideSync(rowOf(), { ...resource, metadata })).toEqual(none())
    expect(decideSync(null, { ...resource, metadata })).toEqual(none())
  })
})

function none(): SyncStep {
  return { kind: 'None' }
}

describe('row and resource', () => {
  it('become equal after any edits on both sides, with crashes between any two writes', () => {
    const rows = fc.constantFrom(null, rowOf(), rowOf({ adopts: true, revision: 0 }))
    fc.assert(
      fc.property(rows, fc.array(action, { maxLength: 12 }), (row, actions) => {
        const edited = actions.reduce(act, { row, resource: undefined, made: 0 })
        const { row: last, resource } = settle(edited)
        if (last === null) return resource === undefined
        assert(resource !== undefined, 'a department has a resource')
        expect(auditDepartments([last], [resource])).toEqual([])
        expect(last).toMatchObject(resourceValues(resource))
        return true
      }),
      { numRuns: 500 },
    )
  })

  it('leave the truth with the side that managedBy names', () => {
    const api = settle({ row: rowOf({ weight: 5 }), resource: undefined, made: 0 })
    const drifted = { ...api, resource: resourceOf({ weight: 9 }, 2, api.resource?.metadata.uid) }
    expect(settle(drifted).row).toMatchObject({ weight: 5, managedBy: 'api' })
    const taken = act(api, { kind: 'Kubectl', by: { weight: 9, managedBy: 'platform' } })
    const platform = settle(taken)
    expect(platform.row).toMatchObject({ weight: 9, managedBy: 'platform' })
    const back = act(platform, { kind: 'Kubectl', by: { weight: 3, managedBy: 'api' } })
    expect(settle(back).resource?.spec).toMatchObject({ weight: 9, managedBy: 'api' })
  })

  it('are reported where they differ', () => {
    expect(auditDepartments([rowOf()], [])).toEqual([
      { name, message: 'its Department is missing' },
    ])
    expect(auditDepartments([], [resourceOf()])).toEqual([{ name, message: 'the api has no row' }])
    const differs = auditDepartments([rowOf({ weight: 3 })], [resourceOf()])
    expect(differs).toEqual([{ name, message: 'weight differ' }])
  })
})
