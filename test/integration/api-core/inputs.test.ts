import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createObject, deleteObject } from '../../../src/platform/kube/objects.ts'
import { models } from '../../../src/platform/kube/resources.ts'
import type { GenerationJob, Input } from '../../../src/shared/crd/generation-job.ts'
import type { ModelSpec } from '../../../src/shared/crd/model.ts'
import { type Work, work as workSchema } from '../../../src/shared/wire/internal.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { modelSpec, perImage } from './scene.ts'

let scene: InternalScene
let editor: string

beforeAll(async () => {
  scene = await openInternalScene()
  await scene.fund(100 * perImage, `department:${scene.department}`)
  editor = `${scene.name}-editor`
  const spec = { ...modelSpec, tasks: ['ImageToImage' as const, 'Inpaint' as const] }
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
async function hold(input: Input, parameters: object = {}) {
  const job = await scene.applyJob()
  const changed = {
    ...job,
    spec: {
      ...job.spec,
      task: 'ImageToImage' as const,
      modelRef: { name: editor },
      parameters: { prompt: 'x', strength: 0.5, ...parameters },
      inputs: [input],
    },
  }
  return { job, answer: (await scene.hold(changed)).body }
}

/** What a pod of the job’s first attempt is told. */
async function workOf(job: GenerationJob): Promise<Work> {
  const pod = await scene.startPod()
  await scene.setStatus(job, { attempt: { number: 1, podName: pod.name, podUID: pod.uid } })
  const path = `/internal/v1/jobs/${job.metadata.uid}/attempts/1/work`
  const got = await scene.call({ method: 'GET', path, token: pod.token })
  return workSchema.parse(got.body)
}

function linked(input: Work['inputs'][number] | undefined): string {
  return input !== undefined && 'url' in input ? input.url : ''
}

const refused = { state: 'Refused', message: expect.stringContaining('spec.inputs[0]') }

describe('an input', () => {
  it('of the department’s imports is read through a link', async () => {
    const key = `imports/${scene.department}/part.png`
    await store(key)
    const { job, answer } = await hold({ role: 'Image', object: { key, sha256: facts.sha256 } })
    expect(answer).toMatchObject({ state: 'Held' })
    const [input] = (await workOf(job)).inputs
    expect(input).toMatchObject({ role: 'Image', sha256: facts.sha256, sizeBytes: 32 })
    const url = linked(input)
    const read = await request(url)
    expect(Buffer.from(await read.body.arrayBuffer())).toEqual(bytes)
    const put = await request(url, { method: 'PUT', body: bytes })
    await put.body.dump()
    expect(put.statusCode).toBe(403)
  })

  it('of another department is refused', async () => {
    const key = 'imports/other/part.png'
    await store(key)
    const { answer } = await hold({ role: 'Image', object: { key, sha256: facts.sha256 } })
    const message = expect.stringContaining('spec.inputs: object.key must be under imports/')
    expect(answer).toMatchObject({ state: 'Refused', message })
  })

  it('that is not there is refused', async () => {
    const key = `imports/${scene.department}/nothing.png`
    const { answer } = await hold({ role: 'Image', object: { key, sha256: facts.sha256 } })
    expect(answer).toMatchObject(refused)
  })

  it('with another digest is refused', async () => {
    const key = `imports/${scene.department}/digest.png`
    await store(key)
    const object = { key, sha256: '0'.repeat(64) }
    expect((await hold({ role: 'Image', object })).answer).toMatchObject(refused)
  })

  it('of an uploaded picture is the department’s to read', async () => {
    const _id = `up-${'0'.repeat(32)}`
    const key = `uploads/${scene.department}/kim/${_id}`
    await store(key)
    const size = { width: 64, height: 64 }
    const owner = { department: scene.department, user: 'kim' }
    const picture = { ...facts, _id, key, owner, size, creationTimeMs: 0 }
    await scene.parts.pictures.insert(picture)
    expect((await hold({ role: 'Image', artifact: _id })).answer).toMatchObject({ state: 'Held' })
    const foreign = {
      ...picture,
      _id: `up-${'1'.repeat(32)}`,
      owner: { ...owner, department: 'x' },
    }
    await scene.parts.pictures.insert(foreign)
    const refusal = (await hold({ role: 'Image', artifact: foreign._id })).answer
    expect(refusal).toMatchObject(refused)
    const small = { ...picture, _id: `up-${'2'.repeat(32)}`, size: { width: 32, height: 64 } }
    await scene.parts.pictures.insert(small)
    expect((await hold({ role: 'Image', artifact: small._id })).answer).toMatchObject({
      state: 'Refused',
      message: expect.stringContaining('spec.inputs[0]: has 32x64 pixels, the job makes 64x64'),
    })
  })

  it('of a ConfigMap is a file of the pod, which alone can read it', async () => {
    const configMapRef = { name: 'pictures', key: 'part.png' }
    const { job, answer } = await hold({ role: 'Image', configMapRef })
    expect(answer).toMatchObject({ state: 'Held' })
    const { inputs, loras } = await workOf(job)
    expect(inputs).toEqual([{ role: 'Image', file: '0' }])
    expect(loras).toEqual([])
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

const rust = () => `${scene.name}-rust`

describe('a LoRA', () => {
  const source = { role: 'Image' as const, configMapRef: { name: 'pictures', key: 'part.png' } }

  it('is handed to the pod with its scale and digest', async () => {
    const spec: ModelSpec = {
      ...loraSpec,
      digest: 'ab'.repeat(32),
      tasks: ['ImageToImage'],
    }
    await createObject(scene.admin, models, { metadata: { name: rust() }, spec })
    try {
      const { job, answer } = await hold(source, { loras: [{ name: rust(), scale: -0.5 }] })
      expect(answer).toMatchObject({ state: 'Held' })
      const { loras } = await workOf(job)
      expect(loras).toEqual([{ name: rust(), scale: -0.5, digest: 'ab'.repeat(32) }])
    } finally {
      await deleteObject(scene.admin, models, { name: rust() })
    }
  })

  it('that does not fit is refused by its field', async () => {
    const { answer } = await hold(source, { loras: [{ name: editor, scale: 1 }] })
    const message = expect.stringContaining('spec.parameters.loras[0].name')
    expect(answer).toMatchObject({ state: 'Refused', message })
  })
})

const { defaults: _defaults, sizes: _sizes, ...withoutPictures } = modelSpec
const loraSpec: ModelSpec = {
  ...withoutPictures,
  type: 'Lora',
  price: { perImageMicroCredits: 0 },
  resources: { gpus: 0, cpu: '0', memory: '64Mi' },
}
