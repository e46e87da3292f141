import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createObject, deleteObject } from '../../../src/platform/kube/objects.ts'
import { models } from '../../../src/platform/kube/resources.ts'
import type { Input } from '../../../src/shared/crd/generation-job.ts'
import { work as workSchema } from '../../../src/shared/wire/internal.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { modelSpec, perImage } from './scene.ts'

let scene: InternalScene
let editor: string

beforeAll(async () => {
  scene = await openInternalScene()
  await scene.fund(100 * perImage, `department:${scene.department}`)
  editor = `${scene.name}-editor`
  const spec = { ...modelSpec, tasks: ['ImageToImage' as const] }
  await createObject(scene.admin, models, { metadata: { name: editor }, spec })
})
afterAll(async () => {
  await deleteObject(scene.admin, models, { name: editor })
  await scene.close()
})

const bytes = randomBytes(32)
const facts = {
  sha256: createHash('sha256').update(bytes).digest('hex'),
  sizeBytes: 32,
  contentType: 'image/png',
}

async function store(key: string) {
  await scene.parts.objects.put(key, Readable.from(bytes), facts)
  return { ...facts, key, name: key.split('/').at(-1) ?? '' }
}

/** Asks for the hold of a job with this input, as the controller would. */
async function hold(input: Input) {
  const job = await scene.applyJob()
  const changed = {
    ...job,
    spec: {
      ...job.spec,
      task: 'ImageToImage' as const,
      modelRef: { name: editor },
      parameters: { prompt: 'x', strength: 0.5 },
      inputs: [input],
    },
  }
  return { job, answer: (await scene.hold(changed)).body }
}

const refused = { state: 'Refused', message: expect.stringContaining('spec.inputs[0]') }

describe('an input', () => {
  it('of the department’s imports is read through a link', async () => {
    const key = `imports/${scene.department}/part.png`
    await store(key)
    const { job, answer } = await hold({ role: 'Image', object: { key, sha256: facts.sha256 } })
    expect(answer).toMatchObject({ state: 'Held' })
    const pod = await scene.startPod()
    await scene.setStatus(job, { attempt: { number: 1, podName: pod.name, podUID: pod.uid } })
    const path = `/internal/v1/jobs/${job.metadata.uid}/attempts/1/work`
    const got = await scene.call({ method: 'GET', path, token: pod.token })
    const [input] = workSchema.parse(got.body).inputs
    expect(input).toMatchObject({ role: 'Image', sha256: facts.sha256, sizeBytes: 32 })
    const read = await request(input?.url ?? '')
    expect(Buffer.from(await read.body.arrayBuffer())).toEqual(bytes)
    const put = await request(input?.url ?? '', { method: 'PUT', body: bytes })
    await put.body.dump()
    expect(put.statusCode).toBe(403)
  })

  it.each([
    ['of another department', () => 'imports/other/part.png'],
    ['that is not there', () => `imports/${scene.department}/nothing.png`],
  ])('%s is refused', async (name, keyOf) => {
    const key = keyOf()
    if (!name.includes('not there')) await store(key)
    const { answer } = await hold({ role: 'Image', object: { key, sha256: facts.sha256 } })
    expect(answer).toMatchObject(refused)
  })

  it('with another digest is refused', async () => {
    const key = `imports/${scene.department}/digest.png`
    await store(key)
    const object = { key, sha256: '0'.repeat(64) }
    expect((await hold({ role: 'Image', object })).answer).toMatchObject(refused)
  })

  it('may be an output of the department’s own jobs only', async () => {
    const { id } = await scene.startJob()
    const output = await store(`artifacts/${id}/1/image-0.png`)
    await scene.parts.store.change(id, {}, { outputs: [output], state: 'Completed' })
    const artifact = `${id}.1.image-0.png`
    expect((await hold({ role: 'Image', artifact })).answer).toMatchObject({ state: 'Held' })
    for (const other of [`${id}.1.image-1.png`, `${id}.2.image-0.png`, 'nonsense']) {
      expect((await hold({ role: 'Image', artifact: other })).answer).toMatchObject(refused)
    }
    const jobs = scene.parts.database.native.collection<{ _id: string }>('jobs')
    await jobs.updateOne({ _id: id }, { $set: { 'owner.department': 'other' } })
    expect((await hold({ role: 'Image', artifact })).answer).toMatchObject(refused)
  })
})
