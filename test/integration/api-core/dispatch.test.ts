import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dispatchJob } from '../../../src/api/features/jobs/dispatch.ts'
import { openJobService } from '../../../src/api/features/jobs/service.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { KubeError } from '../../../src/platform/kube/errors.ts'
import {
  createObject,
  deleteObject,
  getObject,
  listObjects,
} from '../../../src/platform/kube/objects.ts'
import { generationJobs, namespaces } from '../../../src/platform/kube/resources.ts'
import type { JobRequest } from '../../../src/shared/wire/job-requests.ts'
import { jobServiceDeps, openScene, perImage, type Scene, sweep } from './scene.ts'

let scene: Scene
let request: JobRequest

beforeAll(async () => {
  scene = await openScene()
  request = { task: 'TextToImage', model: scene.model, parameters: { prompt: 'a dent on metal' } }
})
afterAll(async () => await scene.close())

async function resources() {
  return await listObjects(scene.admin, generationJobs, { namespace: scene.jobsNamespace })
}

async function balance() {
  return await scene.parts.accounts.balance(scene.caller)
}

describe('a dispatched job', () => {
  it('is never dispatched again, even when its resource is gone', async () => {
    await scene.fund(perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const { view } = await jobs.submit(scene.caller, request)
    await dispatchJob(scene.parts, view.id)
    const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
    await deleteObject(scene.admin, generationJobs, ref)
    scene.clock.advance(11_000)
    await dispatchJob(scene.parts, view.id)
    await sweep(scene)
    expect((await resources()).map(({ metadata }) => metadata.name)).not.toContain(ref.name)
  })

  it('runs where it was asked to, and wherever admission likes when nothing was said', async () => {
    await scene.fund(3 * perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const found: string[] = []
    for (const execution of ['Dedicated', 'Pooled', undefined] as const) {
      const asked = { ...request, ...(execution === undefined ? {} : { execution }) }
      const { view } = await jobs.submit(scene.caller, asked)
      await dispatchJob(scene.parts, view.id)
      const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
      found.push((await getObject(scene.admin, generationJobs, ref)).spec.execution)
    }
    expect(found).toEqual(['Dedicated', 'Pooled', 'Auto'])
  })

  it('that the API server will never take ends, and its hold is given back', async () => {
    await scene.fund(2 * perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const { view: other } = await jobs.submit(scene.caller, request)
    await dispatchJob(scene.parts, other.id)
    const { view } = await jobs.submit(scene.caller, request)
    const before = await balance()
    const taken = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
    const { spec } = await getObject(scene.admin, generationJobs, {
      ...taken,
      name: `gj-${other.id}`,
    })
    await createObject(scene.deps.kube, generationJobs, { metadata: taken, spec })
    await dispatchJob(scene.parts, view.id)
    expect(await jobs.get(scene.caller, view.id)).toMatchObject({
      state: 'Failed',
      reason: 'InvalidInput',
      cost: { charged: '0' },
    })
    expect((await balance()).heldMicroCredits).toBe(before.heldMicroCredits - perImage)
    expect(scene.published.at(-1)).toMatchObject({ jobId: view.id })
  })
})

describe('a cancel', () => {
  it('before the dispatch reaches the custom resource with it', async () => {
    await scene.fund(perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const { view } = await jobs.submit(scene.caller, request)
    await jobs.cancel(scene.caller, view.id)
    await dispatchJob(scene.parts, view.id)
    const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
    expect((await getObject(scene.admin, generationJobs, ref)).spec.cancel).toBe(true)
  })

  it('after the dispatch is carried on by the sweep, twice is fine', async () => {
    await scene.fund(perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const { view } = await jobs.submit(scene.caller, request)
    await dispatchJob(scene.parts, view.id)
    await jobs.cancel(scene.caller, view.id)
    await jobs.cancel(scene.caller, view.id)
    await sweep(scene)
    const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
    expect((await getObject(scene.admin, generationJobs, ref)).spec.cancel).toBe(true)
    expect(await scene.parts.store.get(view.id)).toMatchObject({ cancelSent: true })
  })

  it('is sent again when the API server was busy', async () => {
    await scene.fund(perImage)
    const { kube, store } = scene.parts
    const jobs = openJobService(jobServiceDeps(scene))
    const { view } = await jobs.submit(scene.caller, request)
    await dispatchJob(scene.parts, view.id)
    await jobs.cancel(scene.caller, view.id)
    await expect(sweep(scene, refusing(kube, 'PATCH', conflict))).rejects.toBe(conflict)
    expect(await store.get(view.id)).toMatchObject({ cancelSent: false })
    const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
    const { spec } = await getObject(scene.admin, generationJobs, ref)
    expect(spec.cancel).toBe(false)
    await sweep(scene)
    expect((await getObject(scene.admin, generationJobs, ref)).spec.cancel).toBe(true)
    expect(await store.get(view.id)).toMatchObject({ cancelSent: true })
  })

  it('of a resource that was replaced by another of its name is as good as sent', async () => {
    await scene.fund(perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const { view } = await jobs.submit(scene.caller, request)
    await dispatchJob(scene.parts, view.id)
    const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
    const { spec } = await getObject(scene.admin, generationJobs, ref)
    await deleteObject(scene.admin, generationJobs, ref)
    await createObject(scene.deps.kube, generationJobs, { metadata: ref, spec })
    await jobs.cancel(scene.caller, view.id)
    await sweep(scene)
    expect(await scene.parts.store.get(view.id)).toMatchObject({ cancelSent: true })
    expect((await getObject(scene.admin, generationJobs, ref)).spec.cancel).toBe(false)
  })
})

const conflict = new KubeError({ status: 409, reason: 'Conflict', message: 'changed meanwhile' })
const quota = new KubeError({ status: 403, reason: 'Forbidden', message: 'exceeded quota' })

async function die(): Promise<never> {
  throw new Error('killed')
}

function refusing(kube: KubeClient, method: string, error: KubeError): KubeClient {
  return {
    ...kube,
    request: async (asked) =>
      asked.method === method ? await Promise.reject(error) : await kube.request(asked),
  }
}

/** Submitted as if the department had this namespace. */
async function submitTo(namespace: string): Promise<string> {
  await scene.fund(perImage)
  const { departments, ...deps } = jobServiceDeps(scene)
  const get: typeof departments.get = (name) => {
    const found = departments.get(name)
    return found && { ...found, spec: { ...found.spec, namespace } }
  }
  const jobs = openJobService({ ...deps, departments: { get } })
  return (await jobs.submit(scene.caller, request)).view.id
}

describe('a job of a department whose namespace', () => {
  it('is missing waits for it', async () => {
    const namespace = `${scene.name}-late`
    const id = await submitTo(namespace)
    await expect(dispatchJob(scene.parts, id)).rejects.toMatchObject({ status: 404 })
    expect(await scene.parts.store.get(id)).toMatchObject({ state: 'Pending', hold: 'Held' })
    await createObject(scene.admin, namespaces, { metadata: { name: namespace } })
    await dispatchJob(scene.parts, id)
    expect((await scene.parts.store.get(id))?.resource.uid).toEqual(expect.any(String))
    await deleteObject(scene.admin, namespaces, { name: namespace })
  })

  it('is missing can be cancelled: it ends and its hold is given back', async () => {
    const id = await submitTo(`${scene.name}-nowhere`)
    const before = await balance()
    const jobs = openJobService(jobServiceDeps(scene))
    await jobs.cancel(scene.caller, id)
    await dispatchJob(scene.parts, id)
    expect(await jobs.get(scene.caller, id)).toMatchObject({
      state: 'Cancelled',
      reason: 'Cancelled',
      cost: { charged: '0' },
    })
    expect(await scene.parts.store.get(id)).toMatchObject({ hold: 'Voided' })
    expect((await balance()).heldMicroCredits).toBe(before.heldMicroCredits - perImage)
    expect(scene.published.at(-1)).toMatchObject({ jobId: id })
    await dispatchJob(scene.parts, id)
  })

  it('is full can be cancelled, unless its resource was made before a crash', async () => {
    const kube = refusing(scene.parts.kube, 'POST', quota)
    const id = await submitTo(scene.jobsNamespace)
    await expect(dispatchJob({ ...scene.parts, kube }, id)).rejects.toBe(quota)
    const jobs = openJobService(jobServiceDeps(scene))
    await jobs.cancel(scene.caller, id)
    await dispatchJob({ ...scene.parts, kube }, id)
    expect(await jobs.get(scene.caller, id)).toMatchObject({ state: 'Cancelled' })
    const made = await submitTo(scene.jobsNamespace)
    const store = { ...scene.parts.store, change: die }
    await expect(dispatchJob({ ...scene.parts, store }, made)).rejects.toThrow('killed')
    await jobs.cancel(scene.caller, made)
    await dispatchJob({ ...scene.parts, kube }, made)
    const ref = { namespace: scene.jobsNamespace, name: `gj-${made}` }
    expect((await getObject(scene.admin, generationJobs, ref)).spec.cancel).toBe(true)
    expect(await jobs.get(scene.caller, made)).toMatchObject({ state: 'Pending' })
  })
})
