import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type KubeClient, openKubeClient, scopedClient } from '../../../src/platform/kube/client.ts'
import {
  applyObject,
  createObject,
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
} from '../../../src/platform/kube/objects.ts'
import { configMaps } from '../../../src/platform/kube/resources.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { type FaultProxy, startFaultProxy } from '../../support/fault-proxy.ts'
import { createNamespace, deleteNamespace, openAdminClient } from '../../support/kube.ts'

let admin: KubeClient
let proxy: FaultProxy
let client: KubeClient
let namespace: string

beforeAll(async () => {
  admin = openAdminClient()
  namespace = await createNamespace(admin, 'throttled')
  proxy = await startFaultProxy(testEnvironment().kubeconfigPath)
  const { kubeconfigPath } = proxy
  client = openKubeClient({ kubeconfigPath, userAgent: 'throttling-test' })
})
afterAll(async () => {
  await client.close()
  await proxy.close()
  await deleteNamespace(admin, namespace)
  await admin.close()
})

async function createMap(name: string) {
  return await createObject(admin, configMaps, { metadata: { name, namespace }, data: {} })
}

/** What met the proxy for this object, in order. */
function seen(name: string) {
  return proxy.requests.filter(({ url }) => url.includes(name))
}

type Refusal = { readonly name: string; readonly seconds?: number; readonly times?: number }

function refuse({ name, seconds, times = 1 }: Refusal): void {
  const fault = { kind: 'Status', status: 429, retryAfterSeconds: seconds } as const
  for (const verb of ['list', 'other'] as const) {
    proxy.inject({ verb, fault, times, containing: name })
  }
}

const verbs = [
  {
    verb: 'get',
    run: async (name: string) => await getObject(client, configMaps, { name, namespace }),
  },
  {
    verb: 'list',
    run: async (name: string) =>
      await listObjects(client, configMaps, { namespace, fieldSelector: `metadata.name=${name}` }),
  },
  {
    verb: 'create',
    // A strict check of the fields puts the name into the address, where the proxy looks.
    run: async (name: string) =>
      await client.request({
        method: 'POST',
        path: `/api/v1/namespaces/${namespace}/configmaps`,
        query: { fieldManager: name },
        body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `${name}-new` } },
      }),
  },
  {
    verb: 'patch',
    run: async (name: string) =>
      await mergePatch(client, configMaps, { name, namespace, patch: { data: { a: '1' } } }),
  },
  {
    verb: 'apply',
    run: async (name: string) =>
      await applyObject(client, configMaps, {
        object: { metadata: { name, namespace }, data: { b: '1' } },
        fieldManager: 'test',
      }),
  },
  {
    verb: 'delete',
    run: async (name: string) => await deleteObject(client, configMaps, { name, namespace }),
  },
]

// They only wait, so they wait together.
describe.concurrent('a request that is answered with 429 and Retry-After', () => {
  it.for(verbs)('is sent again when the time has come: $verb', async ({ verb, run }) => {
    const name = `once-${verb}`
    await createMap(name)
    refuse({ name, seconds: 1 })
    await run(name)
    const [refused, accepted, ...more] = seen(name)
    expect(refused?.fault).toBeDefined()
    expect(accepted!.atMs - refused!.atMs).toBeGreaterThanOrEqual(990)
    expect(more).toEqual([])
  })

  it('is given up after three repetitions, and the error says when to come again', async () => {
    await createMap('always')
    refuse({ name: 'always', seconds: 0, times: Infinity })
    const waiting = getObject(client, configMaps, { name: 'always', namespace })
    await expect(waiting).rejects.toMatchObject({ status: 429, retryAfterSeconds: 0 })
    expect(seen('always')).toHaveLength(4)
  })

  it('is not kept longer than its own time limit', async () => {
    await createMap('late')
    refuse({ name: 'late', seconds: 60, times: Infinity })
    const waiting = getObject(client, configMaps, { name: 'late', namespace })
    await expect(waiting).rejects.toMatchObject({ status: 429, retryAfterSeconds: 60 })
    expect(seen('late')).toHaveLength(1)
  })

  it('counts its pauses against its time limit', async () => {
    await createMap('short')
    refuse({ name: 'short', seconds: 4, times: Infinity })
    const hasty = scopedClient(client, { timeoutMs: 6_000 })
    const waiting = getObject(hasty, configMaps, { name: 'short', namespace })
    await expect(waiting).rejects.toMatchObject({ status: 429 })
    expect(seen('short')).toHaveLength(2)
  })

  it('ends at once when its caller gives it up in a pause', async () => {
    await createMap('aborted')
    refuse({ name: 'aborted', seconds: 10, times: Infinity })
    const stopping = new AbortController()
    const scoped = scopedClient(client, { signal: stopping.signal })
    const waiting = getObject(scoped, configMaps, { name: 'aborted', namespace })
    await eventually(() => expect(seen('aborted')).toHaveLength(1))
    setTimeout(() => stopping.abort(new Error('given up')), 300)
    await expect(waiting).rejects.toThrow('given up')
    expect(seen('aborted')).toHaveLength(1)
  })

  it('is not sent again when the API server does not say when', async () => {
    await createMap('silent')
    refuse({ name: 'silent' })
    const waiting = getObject(client, configMaps, { name: 'silent', namespace })
    await expect(waiting).rejects.toMatchObject({ status: 429, retryAfterSeconds: undefined })
    expect(seen('silent')).toHaveLength(1)
  })

  it('is not sent again when another status carries it: it may have had its effect', async () => {
    await createMap('unknown')
    const fault = { kind: 'Status', status: 503, retryAfterSeconds: 1 } as const
    proxy.inject({ verb: 'other', fault, containing: 'unknown' })
    const waiting = getObject(client, configMaps, { name: 'unknown', namespace })
    await expect(waiting).rejects.toMatchObject({ status: 503, retryAfterSeconds: 1 })
    expect(seen('unknown')).toHaveLength(1)
  })
})
