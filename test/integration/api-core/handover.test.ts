import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import type { Progress } from '../../../src/shared/wire/internal.ts'
import { uploads as uploadsSchema } from '../../../src/shared/wire/internal.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { perImage } from './scene.ts'

let scene: InternalScene
type Running = Awaited<ReturnType<InternalScene['startJob']>>

beforeAll(async () => {
  scene = await openInternalScene()
  await scene.fund(100 * perImage, `department:${scene.department}`)
})
afterAll(async () => await scene.close())

function picture(name = 'image-0.png') {
  const bytes = randomBytes(1000)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const output = { name, sha256, sizeBytes: bytes.length, contentType: 'image/png', seed: 7 }
  return { bytes, output }
}

async function post({ id, token }: Running, what: string, body: unknown) {
  const path = `/internal/v1/jobs/${id}/attempts/1/${what}`
  return await scene.call({ method: 'POST', path, token, body })
}

async function announce(running: Running, output: ReturnType<typeof picture>['output']) {
  const answer = await post(running, 'uploads', { outputs: [output] })
  expect(answer.status).toBe(200)
  const [upload] = uploadsSchema.parse(answer.body).uploads
  if (upload === undefined) throw new Error('no upload')
  return upload
}

async function put(url: string, body: Buffer) {
  const answer = await request(url, { method: 'PUT', body })
  await answer.body.dump()
  return answer.statusCode
}

async function readReport({ id }: Running) {
  const path = `/internal/v1/jobs/${id}/attempts/1/report`
  return (await scene.call({ method: 'GET', path, token: scene.controllerToken })).body
}

describe('an upload', () => {
  it('lands under the attempt’s own prefix and counts without a report', async () => {
    const running = await scene.startJob()
    const { bytes, output } = picture()
    const upload = await announce(running, output)
    expect(upload.key).toBe(`artifacts/${running.id}/1/image-0.png`)
    expect(upload.url.startsWith(`${scene.url}/internal/v1/objects/artifacts/`)).toBe(true)
    expect(await readReport(running)).toMatchObject({ report: null, outputs: [] })
    expect(await put(upload.url, bytes)).toBe(204)
    expect(await put(upload.url, bytes)).toBe(204)
    const { name: _name, ...facts } = output
    expect(await readReport(running)).toEqual({
      report: null,
      outputs: [{ ...facts, name: 'image-0.png', key: upload.key }],
      stepsDone: 0,
    })
  })

  it.each([
    ['fewer bytes', (bytes: Buffer) => bytes.subarray(1)],
    ['more bytes', (bytes: Buffer) => Buffer.concat([bytes, bytes])],
    ['other bytes', (bytes: Buffer) => Buffer.alloc(bytes.length)],
  ])('of %s stores nothing', async (_name, change) => {
    const running = await scene.startJob()
    const { bytes, output } = picture()
    const upload = await announce(running, output)
    expect(await put(upload.url, change(bytes))).toBe(422)
    expect(await scene.parts.objects.head(upload.key)).toBeNull()
    expect(await readReport(running)).toMatchObject({ outputs: [] })
  })

  it('without a length is checked while it streams', async () => {
    const running = await scene.startJob()
    const { bytes, output } = picture()
    const upload = await announce(running, output)
    async function* endless() {
      yield bytes
      yield bytes
    }
    const answer = await request(upload.url, { method: 'PUT', body: Readable.from(endless()) })
    await answer.body.dump()
    expect(answer.statusCode).toBe(422)
    expect(await scene.parts.objects.head(upload.key)).toBeNull()
  })

  it('by a changed, expired or reused link is refused', async () => {
    const running = await scene.startJob()
    const { bytes, output } = picture()
    const { url } = await announce(running, output)
    expect(await put(url.replace('image-0', 'image-1'), bytes)).toBe(403)
    expect(await put(url.replace('size=1000', 'size=1001'), bytes)).toBe(403)
    expect(await put(url.replace(/signature=.{4}/, 'signature=AAAA'), bytes)).toBe(403)
    expect(await put(url.replace('/1/image', '/2/image'), bytes)).toBe(403)
    expect(await put(url.replace('/1/', '/../'), bytes)).toBe(403)
    const got = await request(url)
    await got.body.dump()
    expect(got.statusCode).toBe(403)
    scene.clock.advance(3_600_001)
    expect(await put(url, bytes)).toBe(403)
  })

  it('cannot replace bytes that have arrived', async () => {
    const running = await scene.startJob()
    const first = picture()
    const upload = await announce(running, first.output)
    expect(await put(upload.url, first.bytes)).toBe(204)
    const answer = await post(running, 'uploads', { outputs: [picture().output] })
    expect(answer).toMatchObject({ status: 422, body: { code: 'object.mismatch' } })
  })

  it.each(['../image.png', 'a/b.png', '', '.hidden', 'A.png'])(
    'under the name %j is not announced',
    async (name) => {
      const running = await scene.startJob()
      const answer = await post(running, 'uploads', { outputs: [picture(name).output] })
      expect(answer).toMatchObject({ status: 400, body: { code: 'request.invalid' } })
    },
  )
})

function snapshot(sequence: number, imagesDone = 0): Progress {
  return {
    sequence,
    imagesDone,
    stage: 'Denoising',
    step: sequence,
    steps: 20,
    images: 4,
    stepsDone: sequence,
  }
}

describe('progress', () => {
  it('is told at once and never goes back', async () => {
    const running = await scene.startJob()
    expect((await post(running, 'progress', snapshot(3))).status).toBe(204)
    expect(scene.published.at(-1)).toMatchObject({ jobId: running.id, progress: { sequence: 3 } })
    for (const sequence of [2, 3]) {
      expect(await post(running, 'progress', snapshot(sequence))).toMatchObject({
        status: 409,
        body: { code: 'attempt.sequence' },
      })
    }
    const row = await scene.parts.store.get(running.id)
    expect(row?.progress).toMatchObject({ sequence: 3, attempt: 1 })
  })

  it('goes to the database every five seconds and with each finished picture', async () => {
    onTestFinished(scene.clock.freeze())
    const running = await scene.startJob()
    const stored = async () => (await scene.parts.store.get(running.id))?.progress?.sequence
    await post(running, 'progress', snapshot(1))
    await post(running, 'progress', snapshot(2))
    expect(await stored()).toBe(1)
    await post(running, 'progress', snapshot(3, 1))
    expect(await stored()).toBe(3)
    await post(running, 'progress', snapshot(4, 1))
    expect(await stored()).toBe(3)
    scene.clock.advance(5000)
    await post(running, 'progress', snapshot(5, 1))
    expect(await stored()).toBe(5)
    expect(await readReport(running)).toMatchObject({ stepsDone: 5 })
  })

  it.each([
    ['a count', { step: -1 }, '/step'],
    ['a preview that is no base64', { preview: 'data:image/jpeg;base64,AAAA' }, '/preview'],
    ['a preview of more than 64 KiB', { preview: 'A'.repeat(65_537) }, '/preview'],
  ])('is refused naming %s', async (_what, wrong, path) => {
    const running = await scene.startJob()
    const answer = await post(running, 'progress', { ...snapshot(1), ...wrong })
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ path }] } })
  })

  it('passes a preview on, twice a second at most, and never stores it', async () => {
    onTestFinished(scene.clock.freeze())
    const running = await scene.startJob()
    const preview = 'A'.repeat(65_536)
    const told = []
    for (const [sequence, laterMs] of [0, 450, 100, 450].entries()) {
      scene.clock.advance(laterMs)
      await post(running, 'progress', { ...snapshot(sequence + 1), preview })
      const { progress } = scene.published.at(-1) ?? {}
      told.push([progress?.sequence, progress?.preview?.length])
    }
    // Only 100 ms after the second the third is not told at all.
    expect(told).toEqual([
      [1, 65_536],
      [2, undefined],
      [2, undefined],
      [4, 65_536],
    ])
    const row = await scene.parts.store.get(running.id)
    expect(row?.progress).not.toHaveProperty('preview')
  })
})

describe('a report', () => {
  it('carries what was done to the inputs', async () => {
    const running = await scene.startJob()
    const { bytes, output } = picture()
    const inputChanges = ['inputs[0]: 16-bit values reduced to 8']
    const { key, url } = await announce(running, output)
    await put(url, bytes)
    const outputs = [{ ...output, key, inputChanges }]
    const report = { reason: 'Completed', message: '', outputs, stepsDone: 4 }
    expect((await post(running, 'report', report)).status).toBe(204)
    expect(await readReport(running)).toMatchObject({ outputs: [{ key, inputChanges }] })
  })

  it('is taken once; the same again is fine, another is not', async () => {
    const running = await scene.startJob()
    const { bytes, output } = picture()
    const { key, url } = await announce(running, output)
    const report = {
      reason: 'Completed',
      message: '',
      outputs: [{ ...output, key }],
      stepsDone: 20,
      timings: { denoise: 1.5 },
    }
    expect(await post(running, 'report', report)).toMatchObject({ status: 422 })
    await put(url, bytes)
    const answers = await Promise.all([1, 2, 3].map(() => post(running, 'report', report)))
    expect(answers.map(({ status }) => status)).toEqual([204, 204, 204])
    const other = await post(running, 'report', { ...report, stepsDone: 19 })
    expect(other).toMatchObject({ status: 409, body: { code: 'attempt.reported' } })
    expect(await readReport(running)).toEqual({
      report,
      outputs: report.outputs,
      stepsDone: 20,
    })
  })

  it('may name only its own uploads, with their digests', async () => {
    const running = await scene.startJob()
    const { bytes, output } = picture()
    const { key, url } = await announce(running, output)
    await put(url, bytes)
    const good = { ...output, key }
    const sha256 = 'f'.repeat(64)
    const otherKey = `artifacts/${running.id}/2/image-0.png`
    const bad = [
      { ...good, sha256 },
      { ...good, key: otherKey },
      { ...good, sizeBytes: 1 },
    ]
    for (const one of bad) {
      const report = { reason: 'Completed', message: '', outputs: [good, one], stepsDone: 1 }
      const answer = await post(running, 'report', report)
      expect(answer).toMatchObject({ status: 422, body: { errors: [{ path: '/outputs/1' }] } })
    }
  })
})

async function settlement(id: string): Promise<string> {
  const path = `/internal/v1/jobs/${id}/settlement`
  const answer = await scene.call({ method: 'GET', path, token: scene.controllerToken })
  return z.object({ state: z.string() }).parse(answer.body).state
}

describe('the settlement of a job', () => {
  it('is unknown, open or as the hold ended', async () => {
    expect(await settlement('00000000000000000000000000')).toBe('Unknown')
    const { id } = await scene.startJob()
    expect(await settlement(id)).toBe('Open')
    await scene.parts.store.change(id, {}, { state: 'Completed', hold: 'Settled' })
    expect(await settlement(id)).toBe('Settled')
    const waiting = await scene.startJob()
    await scene.parts.store.change(waiting.id, {}, { state: 'Failed', hold: 'None' })
    expect(await settlement(waiting.id)).toBe('Voided')
  })
})
