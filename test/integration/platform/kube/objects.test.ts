import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { jobsNamespace } from '../../../../src/shared/names.ts'
import {
  type KubeClient,
  openKubeClient,
  scopedClient,
} from '../../../../src/platform/kube/client.ts'
import {
  isAlreadyExists,
  isConflict,
  isInvalid,
  isNotFound,
  isUnreachable,
} from '../../../../src/platform/kube/errors.ts'
import {
  applyObject,
  createObject,
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
  patchStatus,
} from '../../../../src/platform/kube/objects.ts'
import { configMaps, models, pods } from '../../../../src/platform/kube/resources.ts'
import { testEnvironment } from '../../../support/environment.ts'
import { startFaultProxy } from '../../../support/fault-proxy.ts'
import { createNamespace, deleteNamespace, openAdminClient } from '../../../support/kube.ts'

let client: KubeClient
let namespace: string

beforeAll(async () => {
  client = openAdminClient()
  namespace = await createNamespace(client, 'objects')
})

afterAll(async () => {
  await deleteNamespace(client, namespace)
  await client.close()
})

async function caught(promise: Promise<unknown>): Promise<unknown> {
  return await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
}

async function createConfigMap(name: string, labels: Record<string, string> = {}) {
  const metadata = { name, namespace, labels }
  return await createObject(client, configMaps, { metadata, data: { a: '1' } })
}

function podDraft(name: string) {
  const container = { name: 'c', image: 'none', resources: {} }
  // A scheduler of this name does not exist, so nothing happens to the pod.
  const spec = { containers: [container], schedulerName: 'nobody', restartPolicy: 'Never' }
  return { metadata: { name, namespace }, spec }
}

describe('the verbs on a real API server', () => {
  it('create, read, change and delete an object', async () => {
    const created = await createConfigMap('life')
    expect(typeof created.metadata.creationTimestamp).toBe('string')
    expect(await getObject(client, configMaps, { namespace, name: 'life' })).toEqual(created)
    const patch = { data: { a: null, b: '2' } }
    const changed = await mergePatch(client, configMaps, { namespace, name: 'life', patch })
    expect(changed.data).toEqual({ b: '2' })
    await deleteObject(client, configMaps, { namespace, name: 'life' })
    const error = await caught(getObject(client, configMaps, { namespace, name: 'life' }))
    expect(isNotFound(error)).toBe(true)
    expect(error).toMatchObject({ message: 'configmaps "life" not found' })
  })

  it('tell a taken name from a conflict', async () => {
    await createConfigMap('twice')
    const error = await caught(createConfigMap('twice'))
    expect(isAlreadyExists(error)).toBe(true)
    expect(isConflict(error)).toBe(false)
  })

  it('generate a name', async () => {
    const created = await createObject(client, configMaps, {
      metadata: { generateName: 'made-', namespace },
    })
    expect(created.metadata.name).toMatch(/^made-.+/)
  })

  it('list by label, page by page', async () => {
    const names = ['p1', 'p2', 'p3']
    for (const name of names) await createConfigMap(name, { page: 'yes' })
    await createConfigMap('other')
    const found = await listObjects(client, configMaps, { namespace, labelSelector: 'page=yes' })
    expect(found.map((each) => each.metadata.name)).toEqual(names)
  })

  it('delete only the object of the given uid', async () => {
    const { metadata } = await createConfigMap('precious')
    const ref = { namespace, name: 'precious' }
    const uid = '00000000-0000-0000-0000-000000000000'
    const error = await caught(deleteObject(client, configMaps, { ...ref, uid }))
    expect(isConflict(error)).toBe(true)
    await deleteObject(client, configMaps, { ...ref, uid: metadata.uid })
    expect(isNotFound(await caught(getObject(client, configMaps, ref)))).toBe(true)
  })

  it('refuse a status patch that missed a change', async () => {
    const pod = await createObject(client, pods, podDraft('status'))
    const status = { message: 'first' }
    const patched = await patchStatus(client, pods, { object: pod, status })
    expect(patched.status?.message).toBe('first')
    const error = await caught(patchStatus(client, pods, { object: pod, status: { message: 'b' } }))
    expect(isConflict(error)).toBe(true)
    const again = await patchStatus(client, pods, { object: patched, status: { message: null } })
    expect(again.status?.message).toBeUndefined()
    await deleteObject(client, pods, { namespace, name: 'status', graceSeconds: 0 })
  })

  it('refuse a status patch for an object that was made anew', async () => {
    const old = await createObject(client, pods, podDraft('again'))
    await deleteObject(client, pods, { namespace, name: 'again', graceSeconds: 0 })
    await createObject(client, pods, podDraft('again'))
    const error = await caught(patchStatus(client, pods, { object: old, status: { message: 'x' } }))
    expect(isConflict(error)).toBe(true)
    await deleteObject(client, pods, { namespace, name: 'again', graceSeconds: 0 })
  })

  it('apply creates, owns its fields and respects those of others', async () => {
    const object = { metadata: { name: 'applied', namespace }, data: { mine: '1' } }
    await applyObject(client, configMaps, { object, fieldManager: 'one' })
    const foreign = { ...object, data: { mine: '2', theirs: '1' } }
    const error = await caught(
      applyObject(client, configMaps, { object: foreign, fieldManager: 'two' }),
    )
    expect(isConflict(error)).toBe(true)
    expect(error).toMatchObject({ causes: [{ field: '.data.mine' }] })
    const forced = { object: foreign, fieldManager: 'two', force: true }
    expect((await applyObject(client, configMaps, forced)).data).toEqual({ mine: '2', theirs: '1' })
    const empty = { metadata: object.metadata, data: {} }
    await applyObject(client, configMaps, { object: empty, fieldManager: 'one' })
    const { data } = await getObject(client, configMaps, { namespace, name: 'applied' })
    expect(data).toEqual({ mine: '2', theirs: '1' })
  })

  it('name the field of an object that is not valid', async () => {
    const error = await caught(
      createObject(client, pods, { ...podDraft('bad'), spec: { containers: [] } }),
    )
    expect(isInvalid(error)).toBe(true)
    expect(error).toMatchObject({ status: 422, causes: [{ field: 'spec.containers' }] })
  })

  it('refuse unknown fields of our own kinds', async () => {
    const draft = { metadata: { name: 'typo' }, spec: {}, sepc: { source: 'x' } }
    const error = await caught(createObject(client, models, draft as never))
    expect(isInvalid(error)).toBe(true)
    expect(String(error)).toContain('sepc')
  })

  it('refuse an object without its namespace before asking anybody', async () => {
    const error = await caught(createObject(client, configMaps, { metadata: { name: 'lost' } }))
    expect(String(error)).toContain('needs a namespace')
  })

  it('take the reason of the signal when aborted', async () => {
    const aborted = scopedClient(client, { signal: AbortSignal.abort(new Error('shutting down')) })
    const error = await caught(listObjects(aborted, configMaps, { namespace: jobsNamespace }))
    expect(error).toMatchObject({ message: 'shutting down' })
  })

  it('name the address when nobody answers, and give up in time', async () => {
    const proxy = await startFaultProxy(testEnvironment().kubeconfigPath)
    const { kubeconfigPath } = proxy
    const faulty = openKubeClient({ kubeconfigPath, userAgent: 'test' })
    proxy.inject({ verb: 'list', fault: { kind: 'Hang' } })
    const hasty = scopedClient(faulty, { timeoutMs: 500 })
    const hanging = await caught(listObjects(hasty, configMaps))
    expect(isUnreachable(hanging)).toBe(true)
    expect(hanging).toMatchObject({ message: expect.stringContaining('0.5 s') })
    await proxy.goDown()
    const refused = await caught(listObjects(faulty, configMaps))
    expect(isUnreachable(refused)).toBe(true)
    expect(refused).toMatchObject({ message: expect.stringContaining(faulty.server) })
    expect(refused).toMatchObject({ message: expect.stringContaining('nothing listens') })
    await faulty.close()
    await proxy.close()
  })

  it('observe each request once', async () => {
    const seen: string[] = []
    const observed = openKubeClient({
      kubeconfigPath: testEnvironment().kubeconfigPath,
      userAgent: 'test',
      observe: ({ verb, resource, status }) => seen.push(`${verb} ${resource} ${status}`),
    })
    await caught(getObject(observed, configMaps, { namespace, name: 'nobody' }))
    await listObjects(observed, pods)
    await observed.close()
    expect(seen).toEqual(['get configmaps 404', 'list pods 200'])
  })
})
