import { expect } from 'vitest'
import { type Answer, type Call, verdictOf, type Verdict } from './api-server.ts'
import { controller, type Fixture, openFixture } from './fixture.ts'
import { type Json, smallPool } from './objects.ts'
import { valueAt } from './places.ts'

const plurals = {
  deployments: '/apis/apps/v1',
  secrets: '/api/v1',
  pods: '/api/v1',
  resourceclaimtemplates: '/apis/resource.k8s.io/v1',
} as const
type Plural = keyof typeof plurals

/** Name of the pool that the tests' objects belong to. */
export const pool = smallPool.metadata.name

/** A namespace with a ModelPool, and what the API server says about its children. */
export type PoolFixture = Awaited<ReturnType<typeof openPoolFixture>>

export async function openPoolFixture() {
  const fixture = await openFixture()
  /** A pool, as its children refer to it: those of a pool that is not there are collected. */
  const createPool = async (name: string): Promise<Json> => {
    const { body } = await fixture.create({ ...smallPool, metadata: { name } })
    const uid = valueAt(body, ['metadata', 'uid'])
    return { apiVersion: 'atelier.dev/v1alpha1', kind: 'ModelPool', name, uid, controller: true }
  }
  const call = callerOf(fixture)
  return {
    call,
    createPool,
    owner: await createPool(pool),
    /** What the API server would say to a new object; nothing is stored. */
    tryCreate: async (plural: Plural, object: Json, as?: typeof controller): Promise<Verdict> => {
      const query = { dryRun: 'All' }
      const given = { method: 'POST', query, body: object, ...(as && { as }) } as const
      return verdictOf(await call(plural, given))
    },
    /** As the admin. */
    store: async (plural: Plural, object: Json): Promise<void> => {
      const answer = await call(plural, { method: 'POST', body: object })
      if (answer.status !== 201) throw new Error(JSON.stringify(answer.body))
    },
    /** What it would say to a merge patch by the controller. */
    patch: async (plural: Plural, target: string, change: Json): Promise<Verdict> =>
      verdictOf(await call(plural, patchOf(change, 'application/merge-patch+json'), target)),
    /** The same for a patch that finds the items of lists by their names. */
    patchItems: async (plural: Plural, target: string, change: Json): Promise<Verdict> =>
      verdictOf(
        await call(plural, patchOf(change, 'application/strategic-merge-patch+json'), target),
      ),
    close: async () => await fixture.close(),
  }
}

/** The verdict of a policy whose message contains this. */
export function refusedWith(text: string) {
  return { accepted: false, status: 403, message: expect.stringContaining(text) }
}

function callerOf({ server, namespace }: Fixture) {
  return async (plural: Plural, rest: Omit<Call, 'path'>, name = ''): Promise<Answer> => {
    const path = `${plurals[plural]}/namespaces/${namespace}/${plural}`
    return await server.call({ ...rest, path: name === '' ? path : `${path}/${name}` })
  }
}

function patchOf(body: Json, contentType: string): Omit<Call, 'path'> {
  return { method: 'PATCH', contentType, query: { dryRun: 'All' }, body, as: controller }
}
