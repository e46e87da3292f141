import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
  patchStatus,
} from '../../../src/platform/kube/objects.ts'
import { departments } from '../../../src/platform/kube/resources.ts'
import { labels } from '../../../src/shared/names.ts'
import type { DepartmentView } from '../../../src/shared/wire/departments.ts'
import { departmentPage, departmentView, memberPage } from '../../../src/shared/wire/departments.ts'
import { eventually } from '../../support/eventually.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

let api: TestApi
/** The department of `lead`, `mina` and `noor`. */
let own: string
let count = 0

beforeAll(async () => {
  api = await startApi()
  own = api.surroundings.quality
})
afterAll(async () => {
  const { metadata } = await read(own)
  const labelSelector = `${labels.installation}=${metadata.labels?.[labels.installation]}`
  const kept = [own, api.surroundings.research]
  const { admin } = api
  await api.core.departmentSync.stop()
  for (const { metadata: made } of await listObjects(admin, departments, { labelSelector })) {
    if (!kept.includes(made.name)) await deleteObject(admin, departments, { name: made.name })
  }
  await api.close()
})

function newName(): string {
  count += 1
  return `${own}-${count}`
}

async function read(name: string) {
  return await getObject(api.admin, departments, { name })
}

async function drift() {
  const { differences } = await api.core.audit()
  return differences.filter(({ kind }) => kind === 'DepartmentDiffers')
}

async function create(body: Readonly<Record<string, unknown>>, as: Person = 'root') {
  return await api.call({ method: 'POST', url: '/v1/departments', as, body })
}

async function patch(name: string, body: unknown, as: Person = 'root') {
  return await api.call({ method: 'PATCH', url: `/v1/departments/${name}`, as, body })
}

async function view(name: string, as: Person = 'root'): Promise<DepartmentView> {
  const response = await api.call({ url: `/v1/departments/${name}`, as })
  expect(response.statusCode).toBe(200)
  return departmentView.parse(response.json())
}

test('departments that were there before the api are taken over', async () => {
  await eventually(async () => expect(await drift()).toEqual([]))
  const { namespace } = api.surroundings
  expect(await view(own)).toMatchObject({ namespace, displayName: `Department ${own}` })
})

describe('a new department', () => {
  test('gets its resource, follows every change, and comes back when it is deleted', async () => {
    const name = newName()
    const limits = { runningJobs: 8, queuedJobs: 50 }
    const { namespace } = api.surroundings
    const made = await create({ name, displayName: 'Vision', weight: 200, limits, namespace })
    expect(made.statusCode).toBe(201)
    expect(made.headers['location']).toBe(`/v1/departments/${name}`)
    expect(made.json()).toMatchObject({
      limits: { ...limits, runningJobsPerUser: null },
      allowedModels: null,
      downloadRecipe: 'Embedded',
      managedBy: 'api',
      resource: { ready: false, reason: 'Pending' },
    })
    const first = await eventually(async () => await read(name))
    expect(first.spec).toMatchObject({ displayName: 'Vision', weight: 200, namespace, limits })
    const changed = await patch(name, { weight: 5, limits: { queuedJobs: null, runningJobs: 9 } })
    expect(changed.json()).toMatchObject({ weight: 5, limits: { runningJobs: 9 }, revision: 2 })
    await eventually(async () => {
      const { spec } = await read(name)
      expect(spec).toMatchObject({ weight: 5, limits: { runningJobs: 9 } })
      expect(spec.limits?.queuedJobs).toBeUndefined()
    })
    await mergePatch(api.admin, departments, { name, patch: { spec: { weight: 77 } } })
    await eventually(async () => expect((await read(name)).spec.weight).toBe(5))
    await deleteObject(api.admin, departments, { name })
    await eventually(async () => expect((await read(name)).spec.weight).toBe(5))
    await eventually(async () => expect(await drift()).toEqual([]))
  })

  test('says how its resource stands', async () => {
    const name = newName()
    await create({ name, displayName: 'Far away', namespace: 'nowhere' })
    await eventually(async () => await read(name))
    const condition = {
      type: 'Ready',
      status: 'False',
      reason: 'NamespaceMissing',
      message: 'The namespace in spec.namespace does not exist.',
      lastTransitionTime: '2026-11-21T14:00:00Z',
    } as const
    await eventually(async () => {
      const object = await read(name)
      await patchStatus(api.admin, departments, { object, status: { conditions: [condition] } })
    })
    const { reason, message } = condition
    await eventually(async () =>
      expect((await view(name)).resource).toEqual({ ready: false, reason, message }),
    )
  })

  test('needs a free name, a super admin and a sound body', async () => {
    const name = newName()
    expect((await create({ name: own, displayName: 'Again' })).json()).toMatchObject({
      status: 409,
      code: 'department.exists',
    })
    for (const as of ['lead', 'mina', 'gast'] as const) {
      expect((await create({ name, displayName: 'Mine' }, as)).statusCode).toBe(403)
    }
    for (const body of [{ name }, { name, displayName: 'x', namespace: 'kube-system' }]) {
      expect((await create(body)).statusCode).toBe(400)
    }
    const both = await Promise.all([1, 2].map(() => create({ name, displayName: 'Twice' })))
    expect(new Set(both.map(({ statusCode }) => statusCode))).toEqual(new Set([201, 409]))
  })
})

describe('a change of a department', () => {
  test('by its admin keeps to what is inside it', async () => {
    const good = await patch(
      own,
      { displayName: ' Quality ', limits: { runningJobsPerUser: 2 } },
      'lead',
    )
    expect(good.json()).toMatchObject({ displayName: 'Quality', limits: { runningJobsPerUser: 2 } })
    const { weight } = await view(own)
    const bad = await patch(own, { weight: weight + 1, limits: { queuedJobs: 1 } }, 'lead')
    expect(bad.json()).toMatchObject({
      code: 'auth.forbidden',
      errors: [{ path: '/weight' }, { path: '/limits/queuedJobs' }],
    })
    const same = await patch(own, { weight, displayName: 'Quality' }, 'lead')
    expect(same.statusCode).toBe(200)
    expect((await patch(own, { displayName: 'x' }, 'mina')).statusCode).toBe(403)
    const { research } = api.surroundings
    expect((await patch(research, { displayName: 'x' }, 'lead')).json()).toMatchObject({
      code: 'department.not_found',
    })
    expect((await patch(own, { namespace: 'other' })).statusCode).toBe(400)
  })

  test('based on an old revision is refused, and each change is in the audit log', async () => {
    const name = newName()
    await create({ name, displayName: 'One' })
    expect((await patch(name, { weight: 2, revision: 1 })).json().revision).toBe(2)
    expect((await patch(name, { weight: 3, revision: 1 })).json()).toMatchObject({
      status: 409,
      code: 'department.changed',
    })
    const racing = [10, 11, 12, 13].map((weight) => patch(name, { weight, revision: 2 }))
    const statuses = (await Promise.all(racing)).map(({ statusCode }) => statusCode)
    expect(statuses.toSorted((a, b) => a - b)).toEqual([200, 409, 409, 409])
    const log = await api.core.people.auditLog.page({ targetId: name, limit: 10 })
    expect(log.map(({ action, before, after }) => [action, before, after])).toEqual([
      ['department.changed', { weight: 2 }, { weight: expect.any(Number) }],
      ['department.changed', { weight: 100 }, { weight: 2 }],
      ['department.created', null, expect.objectContaining({ displayName: 'One', weight: 100 })],
    ])
  })

  test('is refused where the platform manages, and follows the resource there', async () => {
    const name = newName()
    await create({ name, displayName: 'Platform’s' })
    await eventually(async () => await read(name))
    const taken = { spec: { managedBy: 'platform', weight: 9 } }
    await mergePatch(api.admin, departments, { name, patch: taken })
    await eventually(async () =>
      expect(await view(name)).toMatchObject({ managedBy: 'platform', weight: 9 }),
    )
    const refused = await patch(name, { weight: 1, managedBy: 'api', downloadRecipe: 'Omitted' })
    expect(refused.json()).toMatchObject({
      status: 409,
      code: 'department.managed_by_platform',
      errors: [{ path: '/weight' }, { path: '/managedBy' }],
    })
    const open = await patch(name, { allowedModels: ['a'], downloadRecipe: 'Omitted' })
    expect(open.json()).toMatchObject({ allowedModels: ['a'], downloadRecipe: 'Omitted' })
    await mergePatch(api.admin, departments, { name, patch: { spec: { managedBy: 'api' } } })
    await eventually(async () => expect((await view(name)).managedBy).toBe('api'))
    expect((await patch(name, { weight: 1 })).statusCode).toBe(200)
    await eventually(async () => expect((await read(name)).spec.weight).toBe(1))
  })
})

describe('departments', () => {
  test('are seen by their own people and super admins only', async () => {
    const { research } = api.surroundings
    expect((await view(own, 'mina')).name).toBe(own)
    for (const as of ['mina', 'lead'] as const) {
      const foreign = await api.call({ url: `/v1/departments/${research}`, as })
      expect(foreign.json()).toMatchObject({ status: 404, code: 'department.not_found' })
    }
    expect((await api.call({ url: '/v1/departments/none', as: 'root' })).statusCode).toBe(404)
    const mine = await api.call({ url: '/v1/departments', as: 'lead' })
    expect(departmentPage.parse(mine.json()).items.map(({ name }) => name)).toEqual([own])
  })

  test('list their people page by page, without guests', async () => {
    const names: string[] = []
    let url: string | null = `/v1/departments/${own}/members?limit=2`
    while (url !== null) {
      const page = memberPage.parse((await api.call({ url, as: 'lead' })).json())
      expect(page.items.length).toBeLessThanOrEqual(2)
      names.push(...page.items.map(({ email, isAdmin }) => `${email.split('@')[0]}:${isAdmin}`))
      const { next } = page
      url = next === null ? null : `/v1/departments/${own}/members?limit=2&cursor=${next}`
    }
    expect(names.toSorted()).toEqual(['lead:true', 'mina:false', 'noor:false', 'root:true'])
    const denied = { url: `/v1/departments/${own}/members`, as: 'mina' } as const
    expect((await api.call(denied)).statusCode).toBe(403)
    const foreign = `/v1/departments/${api.surroundings.research}/members`
    expect((await api.call({ url: foreign, as: 'lead' })).statusCode).toBe(404)
    const bad = { url: `/v1/departments/${own}/members?cursor=bad`, as: 'root' } as const
    expect((await api.call(bad)).statusCode).toBe(400)
  })
})

describe('the models of a department', () => {
  test('are narrowed by its own list, for lists, jobs and LoRAs', async () => {
    const { research, model, lora, secretModel } = api.surroundings
    const namesOf = async (as: Person) => {
      const { items } = (await api.call({ url: '/v1/models', as })).json()
      return items.map(({ name }: { readonly name: string }) => name)
    }
    const submit = async (changes: Readonly<Record<string, unknown>>) =>
      await api.call({ method: 'POST', url: '/v1/jobs', as: 'sam', body: api.jobBody(changes) })
    const withLora = { parameters: { prompt: 'p', loras: [{ name: lora, scale: 1 }] } }
    await patch(research, { allowedModels: [model, model] })
    expect((await view(research)).allowedModels).toEqual([model])
    const mine = (await namesOf('sam')).filter((name: string) => name !== lora)
    expect(mine).toEqual([model])
    expect((await api.call({ url: `/v1/models/${secretModel}`, as: 'sam' })).statusCode).toBe(404)
    expect((await submit({ model: secretModel })).json()).toMatchObject({ code: 'model.not_found' })
    expect((await submit(withLora)).json()).toMatchObject({
      code: 'request.invalid',
      errors: [{ path: '/parameters/loras/0/name' }],
    })
    expect((await submit({})).statusCode).toBe(202)
    await patch(research, { allowedModels: [] })
    expect(await namesOf('sam')).toEqual([])
    expect((await submit({})).statusCode).toBe(404)
    await patch(research, { allowedModels: null })
    expect(await namesOf('sam')).toContain(secretModel)
    expect((await submit(withLora)).statusCode).toBe(202)
  })
})

describe('the recipe in the pictures of a department', () => {
  test('is noted on each job when it is accepted, and stays in its view', async () => {
    const embedded = await api.submit('mina')
    await patch(own, { downloadRecipe: 'Omitted' }, 'lead')
    const omitted = await api.submit('mina')
    await patch(own, { downloadRecipe: 'Embedded' }, 'lead')
    const rows = await Promise.all(
      [embedded, omitted].map((id) => api.core.jobs.getRow(caller, id)),
    )
    expect(rows.map(({ embedRecipe }) => embedRecipe)).toEqual([true, false])
    const shown = await api.call({ url: `/v1/jobs/${omitted}`, as: 'mina' })
    expect(shown.json().parameters.prompt).toBe('a scratch on metal')
  })
})

const caller = { userId: 'u-root', department: 'any', role: 'super_admin' } as const
