import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { decode } from 'fast-png'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import type { JobView } from '../../src/shared/wire/jobs.ts'
import { pollUntil, startTestAtelier, type TestAtelier } from '../support/atelier.ts'
import { testEnvironment } from '../support/environment.ts'
import { type PackServer, startPackServer } from '../support/pack-server.ts'
import type { RestSession } from '../support/rest-session.ts'

const project = resolve(import.meta.dirname, '../..')
const demo = join(project, 'models/demo')
/** As Hugging Face serves a repository. */
const served = 'atelier/demo/resolve/v1'
const claim = 'e2e-models'
const image = 'registry.example/demo:1'
const fetched = { url: 'hf://atelier/demo@v1', sizeBytes: 7_300_000 }
const deliveries = {
  'e2e-fetched': { type: 'Fetch', fetch: fetched },
  'e2e-cached': { type: 'Fetch', fetch: { ...fetched, cache: { claim } } },
  'e2e-image': { type: 'Image', image: { reference: image } },
}
type Name = keyof typeof deliveries

let server: PackServer
let atelier: TestAtelier
let member: RestSession
/** What the model makes that comes with the image. */
let wanted: string
beforeAll(async () => {
  server = await startPackServer(await demoFiles())
  const modelSources = { huggingFaceUrl: server.url, imageFolders: { [image]: demo } }
  atelier = await startTestAtelier(testEnvironment(), { modelSources })
  await apply([...(await modelObjects()), ...claimObjects()])
  member = await atelier.signIn('department_member')
  const models = async () => await (await member.request('/v1/models')).text()
  await pollUntil(models, (text) => Object.keys(deliveries).every((name) => text.includes(name)))
  wanted = await pictureOf(await submit('demo'))
})
afterAll(async () => {
  await atelier.kubectl(['delete', 'atmodel', ...Object.keys(deliveries), '--ignore-not-found'])
  await atelier.kubectl(['delete', 'pvc', '-n', 'atelier-jobs', claim, '--wait=false'])
  await atelier.kubectl(['delete', 'pv', claim, '--wait=false'])
  await atelier.stop()
  await server.close()
})

async function demoFiles(): Promise<ReadonlyMap<string, Buffer>> {
  const entries = await readdir(demo, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return new Map(
    await Promise.all(
      files.map(async ({ parentPath, name }) => {
        const file = join(parentPath, name)
        return [`${served}${file.slice(demo.length)}`, await readFile(file)] as const
      }),
    ),
  )
}

async function apply(objects: readonly object[]): Promise<void> {
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects })
  const applied = await atelier.kubectl(['apply', '-f', '-'], text)
  if (applied.exitCode !== 0) throw new Error(applied.stderr)
}

/** The demo model with other deliveries. */
async function modelObjects(): Promise<readonly object[]> {
  const sample = await readFile(join(project, 'manifests/samples/model-demo.yaml'), 'utf8')
  const model: { readonly spec: object } = parse(sample)
  return Object.entries(deliveries).map(([name, delivery]) => {
    return { ...model, metadata: { name }, spec: { ...model.spec, delivery } }
  })
}

/** A claim that is bound: there is no provisioner here. */
function claimObjects(): readonly object[] {
  const common = { accessModes: ['ReadWriteMany'], storageClassName: '' }
  const term = { key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }
  const namespace = 'atelier-jobs'
  const volume = {
    ...common,
    capacity: { storage: '1Gi' },
    local: { path: '/not-looked-at' },
    claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', namespace, name: claim },
    nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [term] }] } },
  }
  const request = { volumeName: claim, resources: { requests: { storage: '1Gi' } } }
  return [
    { apiVersion: 'v1', kind: 'PersistentVolume', metadata: { name: claim }, spec: volume },
    {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      metadata: { name: claim, namespace },
      spec: { ...common, ...request },
    },
  ]
}

async function submit(model: Name | 'demo'): Promise<string> {
  const parameters = { prompt: 'a photo of a dent on wood', seed: 3, steps: 4 }
  return (await member.submit({ task: 'TextToImage', model, parameters })).id
}

const ends = ['Completed', 'Failed', 'Cancelled']

async function jobWhen(id: string, holds: (job: JobView) => boolean): Promise<JobView> {
  return await pollUntil(async () => await member.job(id), holds)
}

/** Digest of the pixels: the file itself names the model. */
async function pictureOf(id: string): Promise<string> {
  const job = await jobWhen(id, ({ state }) => ends.includes(state))
  expect(job).toMatchObject({ state: 'Completed' })
  const answer = await fetch(new URL(job.outputs[0]?.url ?? '', atelier.apiUrl))
  const pixels = Uint8Array.from(decode(await answer.bytes()).data)
  return createHash('sha256').update(pixels).digest('hex')
}

/** The first event on the job's stream that says how long the fetching will still take. */
async function fetchEventOf(id: string): Promise<unknown> {
  const { body } = await member.request(`/v1/jobs/${id}/events`, {
    headers: { accept: 'text/event-stream' },
    signal: AbortSignal.timeout(30_000),
  })
  let text = ''
  for await (const piece of body ?? []) {
    text += Buffer.from(piece).toString('utf8')
    const line = text.split('\n').find((each) => /"secondsRemaining":[1-9]/.test(each))
    if (line !== undefined) return JSON.parse(line.slice('data: '.length))
  }
  throw new Error(`the stream ended without it: ${text}`)
}

function requestedFiles(): readonly string[] {
  return server.requests.map(({ path }) => path.slice(served.length + 1))
}

describe('a model that is fetched', { timeout: 60_000 }, () => {
  test('says how much of it is there, and makes the same picture as any other', async () => {
    const seen = Promise.withResolvers<void>()
    const slow = { kind: 'Slow', bytesPerMs: 900, until: seen.promise } as const
    server.act(`${served}/unet/model.onnx`, slow)
    const id = await submit('e2e-fetched')
    const live = await fetchEventOf(id)
    expect(live).toMatchObject({ stage: 'FetchingModel', stepsDone: 0 })
    const loading = await jobWhen(id, ({ reason }) => reason === 'ModelLoading')
    expect(loading.state).toBe('Pending')
    const ready = loading.conditions.find(({ type }) => type === 'ModelReady')
    expect(ready).toMatchObject({ status: 'False', reason: 'ModelLoading' })
    expect(ready?.message).toMatch(/^\d\.\d of 7\.\d MB of the model are there; /)
    const path = ['genjob', '-n', 'atelier-jobs', `gj-${id}`]
    const { stdout } = await atelier.kubectl(['get', ...path, '-o', 'json'])
    expect(stdout).toContain('Model e2e-fetched (7.3 MB); progress.fetch says how far it is.')
    seen.resolve()

    expect(await pictureOf(id)).toBe(wanted)
    const done = await member.job(id)
    expect(done.progress?.fetch).toBeUndefined()
  })

  test('onto a claim is there for the next pod, which fetches nothing', async () => {
    server.requests.length = 0
    const first = await pictureOf(await submit('e2e-cached'))
    expect(first).toBe(wanted)
    expect(requestedFiles()).toContain('unet/model.onnx')
    server.requests.length = 0
    expect(await pictureOf(await submit('e2e-cached'))).toBe(first)
    expect(requestedFiles()).toEqual([])
    const leases = join(atelier.folder, 'nodes/claims/atelier-jobs', claim, '.leases')
    const [digest = ''] = await readdir(leases)
    expect(await readdir(join(leases, digest))).toEqual(['.last-use'])
  })

  test('in vain fails the attempts of its job, which says why', async () => {
    const manifest = await readFile(join(demo, 'atelier-model.json'))
    const files = server.files
    files.set(`${served}/atelier-model.json`, Buffer.concat([manifest, Buffer.from('\n')]))
    const id = await submit('e2e-fetched')
    const job = await jobWhen(id, ({ conditions }) =>
      conditions.some(({ message }) => message.includes('the Model wants')),
    )
    files.set(`${served}/atelier-model.json`, manifest)
    expect(job.state).not.toBe('Completed')
    await member.cancel(id)
  })
})

describe('a model in an image', () => {
  test('is mounted', async () => {
    expect(await pictureOf(await submit('e2e-image'))).toBe(wanted)
  }, 60_000)
})
