import * as fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { auditDepartments } from '../../../src/api/features/departments/audit.ts'
import { editedValues } from '../../../src/api/features/departments/edit.ts'
import { type DepartmentRow, newDepartmentRow } from '../../../src/api/features/departments/row.ts'
import {
  type DepartmentSync,
  type DepartmentSyncDeps,
  startDepartmentSync,
} from '../../../src/api/features/departments/sync.ts'
import { isNotFound, unlessNotFound } from '../../../src/platform/kube/errors.ts'
import {
  createObject,
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
} from '../../../src/platform/kube/objects.ts'
import { departments } from '../../../src/platform/kube/resources.ts'
import { assert } from '../../../src/shared/assert.ts'
import type { Department, DepartmentSpec } from '../../../src/shared/crd/department.ts'
import { defaultDepartment, type DepartmentValues } from '../../../src/shared/domain/department.ts'
import { labels } from '../../../src/shared/names.ts'
import { eventually } from '../../support/eventually.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { perImage } from './scene.ts'

let scene: InternalScene
const replicas: DepartmentSync[] = []
let count = 0

beforeAll(async () => {
  scene = await openInternalScene()
})
afterEach(async () => {
  await Promise.all(replicas.splice(0).map((replica) => replica.stop()))
})
afterAll(async () => {
  const labelSelector = `${labels.installation}=${scene.name}`
  for (const { metadata } of await listObjects(scene.admin, departments, { labelSelector })) {
    if (metadata.name !== scene.department) {
      await deleteObject(scene.admin, departments, { name: metadata.name })
    }
  }
  await scene.close()
})

/** One more replica that compares; the scene's own parts do nothing by themselves. */
function startReplica(changes: Partial<DepartmentSyncDeps> = {}): DepartmentSync {
  const { people, caches } = scene.parts
  const replica = startDepartmentSync({
    ...scene.parts,
    ...people,
    store: people.departments,
    resources: caches.departments.lister,
    installation: scene.name,
    ...changes,
  })
  replicas.push(replica)
  return replica
}

function newName(): string {
  count += 1
  return `${scene.name}-n${count}`
}

const facts = { kind: 'Department', id: 'x', department: 'x' }

async function insertRow(name: string, changes: Partial<DepartmentValues> = {}): Promise<void> {
  const values = { ...defaultDepartment, displayName: name, ...changes }
  const audit = scene.parts.people.trail.entry('test', {
    action: 'department.created',
    target: facts,
  })
  await scene.parts.people.departments.insert(newDepartmentRow({ name, values, nowMs: 1, audit }))
}

async function readRow(name: string): Promise<DepartmentRow> {
  const row = await scene.parts.people.departments.find(name)
  assert(row !== null, 'the department has a row')
  return row
}

async function read(name: string): Promise<Department> {
  return await getObject(scene.admin, departments, { name })
}

/** What kubectl apply does, with the label of this installation. */
async function apply(name: string, spec: Partial<DepartmentSpec>, owner = scene.name) {
  const metadata = { name, labels: { [labels.installation]: owner } }
  const whole = { weight: 100, namespace: 'atelier-jobs', managedBy: 'api', ...spec } as const
  await createObject(scene.admin, departments, { metadata, spec: whole })
}

async function edit(name: string, spec: object): Promise<void> {
  await mergePatch(scene.admin, departments, { name, patch: { spec } })
}

async function change(name: string, set: Partial<DepartmentValues>): Promise<void> {
  const row = await readRow(name)
  const audit = scene.parts.people.trail.entry('test', {
    action: 'department.changed',
    target: facts,
  })
  await scene.parts.people.departments.change(row, { set, audit, nowMs: 2 })
}

/** What the audit of the system says of one department. */
async function differences(name: string): Promise<readonly string[]> {
  const row = await scene.parts.people.departments.find(name)
  const resource = await read(name).catch((error: unknown) => {
    if (isNotFound(error)) return null
    throw error
  })
  const found = auditDepartments(row === null ? [] : [row], resource === null ? [] : [resource])
  return found.map(({ message }) => message)
}

async function settled(name: string): Promise<void> {
  await eventually(async () => expect(await differences(name)).toEqual([]))
}

describe('a department and its resource', () => {
  it('are made equal after a crash between the two, and again after each drift', async () => {
    const name = newName()
    await insertRow(name, { weight: 7, limits: { runningJobs: 3 } })
    expect(await differences(name)).toEqual(['its Department is missing'])
    const replica = startReplica()
    await replica.wakeAll()
    await settled(name)
    expect((await read(name)).spec).toMatchObject({ weight: 7, limits: { runningJobs: 3 } })
    await edit(name, { weight: 9, limits: { queuedJobs: 1 } })
    expect(await differences(name)).toEqual(['weight, limits.queuedJobs differ'])
    replica.wake(name)
    await settled(name)
    expect((await read(name)).spec).toMatchObject({ weight: 7, limits: { runningJobs: 3 } })
    await deleteObject(scene.admin, departments, { name })
    replica.wake(name)
    await settled(name)
    const { uid } = (await read(name)).metadata
    await eventually(async () => expect((await readRow(name)).resource?.uid).toBe(uid))
  })

  it('are left alone when nothing changed', async () => {
    const name = newName()
    await insertRow(name)
    const replica = startReplica()
    replica.wake(name)
    await eventually(async () => expect((await readRow(name)).resource).not.toBeNull())
    const [row, resource] = [await readRow(name), await read(name)]
    for (const one of [replica, startReplica()]) one.wake(name)
    await Promise.all(replicas.map((one) => one.stop()))
    expect(await readRow(name)).toEqual(row)
    expect(await read(name)).toEqual(resource)
  })

  it('begin with the resource when it was there first, whoever manages it', async () => {
    const [mine, theirs, ensured] = [newName(), newName(), newName()]
    await apply(mine, { weight: 3, displayName: 'Mine' })
    await apply(theirs, { weight: 4, managedBy: 'platform' })
    await apply(ensured, { weight: 5, limits: { queuedJobs: 2 } })
    await scene.parts.people.departments.ensure({ name: ensured, displayName: 'Ensured' })
    const replica = startReplica()
    for (const name of [mine, theirs, ensured]) replica.wake(name)
    for (const name of [mine, theirs, ensured]) await settled(name)
    expect(await readRow(mine)).toMatchObject({ weight: 3, displayName: 'Mine', managedBy: 'api' })
    expect(await readRow(theirs)).toMatchObject({ weight: 4, managedBy: 'platform' })
    expect(await readRow(ensured)).toMatchObject({ weight: 5, limits: { queuedJobs: 2 } })
    expect((await read(ensured)).spec.displayName).toBe('Ensured')
  })

  it('take over a row of an earlier release', async () => {
    const name = newName()
    const rows = scene.parts.database.native.collection<{ _id: string; displayName: string }>(
      'departments',
    )
    await rows.insertOne({ _id: name, displayName: 'Old' })
    await apply(name, { weight: 6 })
    startReplica().wake(name)
    await settled(name)
    expect(await readRow(name)).toMatchObject({ displayName: 'Old', weight: 6, revision: 1 })
  })

  it('hand the truth over to the platform and back', async () => {
    const name = newName()
    await insertRow(name, { weight: 7, allowedModels: ['a'] })
    const replica = startReplica()
    replica.wake(name)
    await settled(name)
    await eventually(async () => expect((await readRow(name)).resource).not.toBeNull())
    await edit(name, { managedBy: 'platform', weight: 8 })
    replica.wake(name)
    await settled(name)
    expect(await readRow(name)).toMatchObject({
      weight: 8,
      managedBy: 'platform',
      allowedModels: ['a'],
    })
    await edit(name, { managedBy: 'api', weight: 9 })
    replica.wake(name)
    await settled(name)
    expect((await read(name)).spec).toMatchObject({ weight: 8, managedBy: 'api' })
    const log = await scene.parts.people.auditLog.page({ targetId: name, limit: 10 })
    expect(log.map(({ actor, action, after }) => ({ by: actor.id, action, after }))).toEqual([
      { by: 'kubernetes', action: 'department.changed', after: { managedBy: 'api' } },
      {
        by: 'kubernetes',
        action: 'department.changed',
        after: { managedBy: 'platform', weight: 8 },
      },
    ])
  })

  it('say why when the API server refuses, and go on when it does not', async () => {
    const name = newName()
    await insertRow(name, { namespace: 'kube-system' })
    const replica = startReplica()
    replica.wake(name)
    await eventually(async () => {
      const { refusal } = await readRow(name)
      expect(refusal).toMatchObject({ reason: 'Invalid' })
      expect(refusal?.message).toContain('namespace must not be one of the cluster')
    })
    await change(name, { namespace: scene.jobsNamespace })
    replica.wake(name)
    await settled(name)
    await eventually(async () => expect((await readRow(name)).refusal).toBeNull())
  })

  it('leave the resource of another installation alone', async () => {
    const name = newName()
    await apply(name, { weight: 3 }, 'another')
    await insertRow(name, { weight: 4 })
    startReplica().wake(name)
    await eventually(async () =>
      expect((await readRow(name)).refusal).toMatchObject({ reason: 'NameTaken' }),
    )
    expect((await read(name)).spec.weight).toBe(3)
    await deleteObject(scene.admin, departments, { name })
  })
})

describe('a job applied with kubectl', () => {
  it('may use what its department’s list names, and carries its wish about recipes', async () => {
    const { people } = scene.parts
    await scene.fund(10 * perImage, `department:${scene.department}`)
    await people.departments.ensure({ name: scene.department, displayName: 'Kubectl' })
    const decide = async (set: Partial<DepartmentValues>) => {
      await change(scene.department, set)
      people.forgetDepartment(scene.department)
    }
    await decide({ allowedModels: ['another'] })
    expect((await scene.hold(await scene.applyJob())).body).toMatchObject({
      state: 'Refused',
      reason: 'InvalidInput',
      message: 'spec.modelRef.name: there is no such model for this department',
    })
    await decide({ allowedModels: [scene.model], downloadRecipe: 'Omitted' })
    const omitted = await scene.startJob()
    await decide({ downloadRecipe: 'Embedded' })
    const embedded = await scene.startJob()
    const workOf = async ({ id, token }: typeof omitted): Promise<unknown> => {
      const path = `/internal/v1/jobs/${id}/attempts/1/work`
      return (await scene.call({ method: 'GET', path, token })).body
    }
    expect(await workOf(omitted)).toMatchObject({ embedRecipe: false })
    expect(await workOf(embedded)).toMatchObject({ embedRecipe: true })
  })
})

const cap = fc.option(fc.integer({ min: 0, max: 9 }), { nil: null })
const edits = fc.record(
  {
    weight: fc.integer({ min: 1, max: 5 }),
    displayName: fc.constantFrom('A', 'B'),
    limits: fc.record({ runningJobs: cap, queuedJobs: cap }, { requiredKeys: [] }),
    managedBy: fc.constantFrom('api' as const, 'platform' as const),
  },
  { requiredKeys: [] },
)
const rounds = fc.array(
  fc.oneof(
    edits.map((by) => ({ side: 'Row', by }) as const),
    edits.map((by) => ({ side: 'Resource', by }) as const),
    fc.constant({ side: 'Nothing' } as const),
  ),
  { minLength: 10, maxLength: 10 },
)
type Round = typeof rounds extends fc.Arbitrary<readonly (infer T)[]> ? T : never

async function play(name: string, round: Round): Promise<void> {
  if (round.side === 'Row') {
    const row = await readRow(name)
    if (row.managedBy === 'api') await change(name, editedValues(row, round.by))
  }
  if (round.side === 'Resource') await edit(name, round.by).catch(() => undefined)
  if (round.side === 'Nothing') await deleteObject(scene.admin, departments, { name })
}

describe('ten rounds of edits on both sides, with two replicas', () => {
  it('end with row and resource equal', async () => {
    await fc.assert(
      fc.asyncProperty(rounds, async (played) => {
        const name = newName()
        await insertRow(name)
        const both = [startReplica(), startReplica()]
        for (const round of played) {
          for (const replica of both) replica.wake(name)
          await play(name, round).catch(unlessNotFound)
        }
        both[0]?.wake(name)
        await settled(name)
        await eventually(async () => expect((await readRow(name)).resource).not.toBeNull())
        for (const replica of both) await replica.stop()
        expect(await differences(name)).toEqual([])
      }),
      { numRuns: 12 },
    )
  })
})
