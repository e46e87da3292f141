import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { assert } from '../../../src/shared/assert.ts'
import { jobsNamespace, labels } from '../../../src/shared/names.ts'
import { type Impersonation, verdictOf, type Verdict } from './api-server.ts'
import {
  api,
  controller,
  createNamespace,
  type Fixture,
  openFixture,
  randomName,
} from './fixture.ts'
import { department, jobOf, type Json } from './objects.ts'

/** Somebody with kubectl who may edit every namespace of the test. */
const person: Impersonation = { user: randomName(), groups: ['system:authenticated'] }
const admin: Impersonation = { user: 'root', groups: ['system:masters'] }
/** Has the api's name but another namespace. */
const impostor: Impersonation = {
  user: 'system:serviceaccount:default:atelier-api',
  groups: ['system:masters'],
}

let fixture: Fixture
let unlabelled: string
let foreign: string

beforeAll(async () => {
  fixture = await openFixture()
  unlabelled = await createNamespace(fixture.server, {})
  foreign = await createNamespace(fixture.server, { [labels.department]: 'assembly' })
  for (const namespace of [fixture.namespace, unlabelled, foreign]) await grantEdit(namespace)
})

afterAll(async () => {
  for (const name of [unlabelled, foreign]) {
    await fixture.server.call({ method: 'DELETE', path: `/api/v1/namespaces/${name}` })
  }
  await fixture.close()
})

async function grantEdit(namespace: string): Promise<void> {
  const { status } = await fixture.server.call({
    method: 'POST',
    path: `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`,
    body: {
      metadata: { name: 'edit' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: person.user }],
    },
  })
  assert(status === 201, 'the role was bound')
}

type Place = { readonly as: Impersonation; readonly namespace: string }

async function judge({ as, namespace }: Place, changes: Json = {}): Promise<Verdict> {
  const answer = await fixture.server.call({
    method: 'POST',
    path: `/apis/atelier.dev/v1alpha1/namespaces/${namespace}/generationjobs`,
    query: { dryRun: 'All', fieldValidation: 'Strict' },
    body: jobOf('TextToImage', changes),
    as,
  })
  return verdictOf(answer)
}

const refusal = (text: string) => ({
  accepted: false,
  status: 403,
  message: expect.stringContaining(text),
})

const ofApi = {
  'spec.owner.user': { owner: { department, user: 'kim' } },
  'spec.owner.limits': { owner: { department, user: 'kim', limits: { runningJobs: 1 } } },
  'spec.jobId': { jobId: '01hzzzzzzzzzzzzzzzzzzzzzzz' },
}

describe('a person with the edit role', () => {
  it('may charge the department of the namespace', async () => {
    expect(await judge({ as: person, namespace: fixture.namespace })).toMatchObject({
      accepted: true,
    })
  })

  it('may not charge another department', async () => {
    const changes = { owner: { department: 'assembly' } }
    expect(await judge({ as: person, namespace: fixture.namespace }, changes)).toMatchObject(
      refusal("spec.owner.department must be 'vision'"),
    )
  })

  it('may not charge its department from a foreign namespace', async () => {
    expect(await judge({ as: person, namespace: foreign })).toMatchObject(
      refusal("spec.owner.department must be 'assembly'"),
    )
  })

  it('may charge nobody from a namespace without a department', async () => {
    expect(await judge({ as: person, namespace: unlabelled })).toMatchObject(
      refusal('spec.owner.department cannot be charged here'),
    )
  })

  it('may not create jobs where the api does', async () => {
    expect(await judge({ as: person, namespace: jobsNamespace })).toMatchObject({
      accepted: false,
      status: 403,
    })
  })
})

describe.each([
  ['a person', person],
  ['a cluster admin', admin],
  ['an account of the same name elsewhere', impostor],
])('%s', (_who, as) => {
  it.each(Object.entries(ofApi))('may not set %s', async (field, changes) => {
    const verdict = await judge({ as, namespace: fixture.namespace }, changes)
    expect(verdict).toMatchObject(refusal(field))
  })
})

describe('the controller', () => {
  it('may create no job at all', async () => {
    expect(await judge({ as: controller, namespace: fixture.namespace })).toMatchObject(
      refusal('cannot create resource "generationjobs"'),
    )
  })
})

describe('a cluster admin', () => {
  it('may create no job in a namespace without a department', async () => {
    expect(await judge({ as: admin, namespace: jobsNamespace })).toMatchObject(
      refusal('spec.owner.department cannot be charged here'),
    )
  })
})

describe('the api', () => {
  it.each(Object.entries(ofApi))('may set %s', async (_field, changes) => {
    expect(await judge({ as: api, namespace: fixture.namespace }, changes)).toMatchObject({
      accepted: true,
    })
  })

  it('may charge any department in the namespace of web jobs', async () => {
    for (const name of ['vision', 'assembly']) {
      const changes = { owner: { department: name, user: 'kim' } }
      expect(await judge({ as: api, namespace: jobsNamespace }, changes)).toMatchObject({
        accepted: true,
      })
    }
  })
})

describe('a stored job', () => {
  it('keeps its owner when a person edits it', async () => {
    const place = `/apis/atelier.dev/v1alpha1/namespaces/${fixture.namespace}/generationjobs`
    const { status } = await fixture.server.call({
      method: 'POST',
      path: place,
      body: jobOf('TextToImage'),
      as: person,
    })
    expect(status).toBe(201)
    for (const spec of [{ owner: { user: 'kim' } }, { jobId: '01hzzzzzzzzzzzzzzzzzzzzzzz' }]) {
      const answer = await fixture.server.call({
        method: 'PATCH',
        path: `${place}/generationjob-example`,
        contentType: 'application/merge-patch+json',
        body: { spec },
        as: person,
      })
      expect(verdictOf(answer)).toMatchObject({ accepted: false, status: 422 })
    }
  })
})
