import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openJobService } from '../../../src/api/features/jobs/service.ts'
import { dispatchJob } from '../../../src/api/features/jobs/dispatch.ts'
import { getObject } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { jobServiceDeps, perImage } from './scene.ts'

let scene: InternalScene
let account: string

beforeAll(async () => {
  scene = await openInternalScene()
  account = `department:${scene.department}`
})
afterAll(async () => await scene.close())

describe('the hold of a job applied with kubectl', () => {
  it('waits without credits, is held with them, and stays one hold', async () => {
    const job = await scene.applyJob({ batchCount: 2 })
    expect(await scene.hold(job)).toMatchObject({
      status: 200,
      body: { state: 'Waiting', reason: 'InsufficientCredits', message: '2 credits are missing' },
    })
    await scene.fund(5 * perImage, account)
    const answers = await Promise.all(Array.from({ length: 6 }, () => scene.hold(job)))
    for (const answer of answers) {
      expect(answer.body).toMatchObject({ state: 'Held', microCredits: 2 * perImage })
    }
    const balance = await scene.parts.accounts.balanceOf(account)
    expect(balance).toMatchObject({ heldMicroCredits: 2 * perImage })
    const row = await scene.parts.store.get(job.metadata.uid)
    expect(row).toMatchObject({
      source: 'Kubectl',
      owner: { department: scene.department, user: null },
      state: 'Pending',
      hold: 'Held',
      parameters: { width: 64, batchCount: 2 },
      resource: { name: job.metadata.name, uid: job.metadata.uid },
    })
  })

  it.each([
    [{ width: 256 }, 'spec.parameters.width'],
    [{ height: 8 }, 'spec.parameters.height'],
    [{ scheduler: 'Magic' }, 'spec.parameters.scheduler'],
  ])('is refused for bad parameters %j naming the field', async (parameters, field) => {
    const job = await scene.applyJob(parameters)
    const answer = await scene.hold(job)
    expect(answer.body).toMatchObject({ state: 'Refused', reason: 'InvalidInput' })
    expect(answer.body).toMatchObject({ message: expect.stringContaining(field) })
    expect(await scene.hold(job)).toEqual(answer)
    expect(await scene.parts.store.get(job.metadata.uid)).toMatchObject({ hold: 'None' })
  })

  it('is refused for an unknown model and for unreadable inputs', async () => {
    const job = await scene.applyJob()
    const unknown = { ...job, spec: { ...job.spec, modelRef: { name: 'nowhere' } } }
    expect((await scene.hold(unknown)).body).toMatchObject({
      state: 'Refused',
      message: expect.stringContaining('spec.modelRef.name'),
    })
    const other = await scene.applyJob()
    const artifact = '01aryz6s410000000000000000.1.a.png'
    const inputs = [{ role: 'Image' as const, artifact }]
    const unreadable = { ...other, spec: { ...other.spec, inputs } }
    expect((await scene.hold(unreadable)).body).toMatchObject({
      state: 'Refused',
      message: expect.stringContaining('spec.inputs: TextToImage'),
    })
  })

  it('has ended when the job has', async () => {
    const job = await scene.applyJob()
    await scene.hold(job)
    await scene.parts.store.change(job.metadata.uid, {}, { state: 'Cancelled' })
    expect((await scene.hold(job)).body).toMatchObject({ state: 'Ended' })
  })

  it('needs the id that belongs to the resource, and a whole body', async () => {
    const job = await scene.applyJob()
    const path = '/internal/v1/jobs/00000000000000000000000000/hold'
    const { uid, name, namespace } = job.metadata
    const token = scene.controllerToken
    const body = { uid, name, namespace, spec: job.spec }
    const foreign = await scene.call({ method: 'PUT', path, token, body })
    expect(foreign).toMatchObject({ status: 400, body: { code: 'request.invalid' } })
    const own = `/internal/v1/jobs/${uid}/hold`
    const empty = await scene.call({ method: 'PUT', path: own, token, body: {} })
    expect(empty.status).toBe(400)
  })
})

async function submit(): Promise<GenerationJob> {
  await scene.fund(perImage)
  const { parts } = scene
  const jobs = openJobService(jobServiceDeps(scene))
  const request = {
    task: 'TextToImage',
    model: scene.model,
    parameters: { prompt: 'x' },
  } as const
  const { view } = await jobs.submit(scene.caller, request)
  await dispatchJob(parts, view.id)
  const ref = { namespace: scene.jobsNamespace, name: `gj-${view.id}` }
  return await getObject(scene.admin, generationJobs, ref)
}

describe('the hold of a job that the api made', () => {
  it('is there already', async () => {
    const job = await submit()
    expect((await scene.hold(job)).body).toMatchObject({ state: 'Held', microCredits: perImage })
  })

  it('is refused to a resource that only claims its job id', async () => {
    const job = await submit()
    const { metadata } = job
    const twin = { ...job, metadata: { ...metadata, uid: crypto.randomUUID() } }
    expect((await scene.hold(twin)).body).toMatchObject({ state: 'Refused' })
    const renamed = { ...job, metadata: { ...metadata, name: 'other' } }
    expect((await scene.hold(renamed)).body).toMatchObject({ state: 'Refused' })
    const spec = { ...job.spec, jobId: '00000000000000000000000000' }
    expect((await scene.hold({ ...job, spec })).body).toMatchObject({ state: 'Refused' })
  })
})
