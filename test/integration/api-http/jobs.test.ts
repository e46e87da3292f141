import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { jobPage, jobView } from '../../../src/shared/wire/jobs.ts'
import { eventually } from '../../support/eventually.ts'
import { type Person, startApi, type TestApi } from './harness.ts'
import { succeeded } from './surroundings.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

const post = async (body: unknown, headers: Record<string, string> = {}, as: Person = 'mina') =>
  await api.call({ method: 'POST', url: '/v1/jobs', as, body, headers })

/** Waits for the custom resource and ends the job as a controller would. */
async function finish(jobId: string): Promise<void> {
  const status = { conditions: [succeeded('True', 'Completed')], outputs: [] }
  await eventually(async () => await api.surroundings.setJobStatus(jobId, status))
  await eventually(async () => {
    const response = await api.call({ url: `/v1/jobs/${jobId}`, as: 'root' })
    expect(response.json().state).toBe('Completed')
  })
}

describe('asking for a job', () => {
  test('is accepted with its address, its price and the model’s defaults', async () => {
    const response = await post(api.jobBody())
    expect(response.statusCode).toBe(202)
    const job = jobView.parse(response.json())
    expect(response.headers['location']).toBe(`/v1/jobs/${job.id}`)
    expect(response.headers['idempotency-replayed']).toBeUndefined()
    expect(job).toMatchObject({
      state: 'Pending',
      parameters: { width: 64, height: 64, steps: 20, seed: 7 },
      cost: { held: '1.5', charged: null },
      owner: { department: api.surroundings.quality },
      outputs: [],
    })
    const read = await api.call({ url: job.urls.self, as: 'mina' })
    expect(jobView.parse(read.json()).id).toBe(job.id)
  })

  test.each([
    ['an unknown field', { stepz: 1 }, '/parameters/stepz'],
    ['a width that is too large', { width: 1e9 }, '/parameters/width'],
    ['a width that is no number', { width: '64' }, '/parameters/width'],
    ['a fraction of a step', { steps: 1.5 }, '/parameters/steps'],
    ['a prompt that is an object', { prompt: { $gt: '' } }, '/parameters/prompt'],
    ['a prompt that is too long', { prompt: 'x'.repeat(4001) }, '/parameters/prompt'],
    ['a prompt with NUL', { prompt: 'a\0b' }, '/parameters/prompt'],
    ['a prompt with half a pair', { prompt: 'a\ud800b' }, '/parameters/prompt'],
    ['a size that the model does not have', { width: 72 }, '/parameters/width'],
    ['a scheduler that nobody knows', { scheduler: 'magic' }, '/parameters/scheduler'],
  ])('with %s is refused and the field is named', async (_name, parameters, path) => {
    const response = await post(api.jobBody({ parameters: { prompt: 'metal', ...parameters } }))
    expect(response.statusCode).toBe(400)
    const { errors } = response.json()
    expect(errors).toContainEqual(expect.objectContaining({ path }))
  })

  test('without a prompt is refused', async () => {
    const response = await post(api.jobBody({ parameters: {} }))
    expect(response.statusCode).toBe(400)
    expect(response.json().errors).toMatchObject([{ path: '/parameters/prompt' }])
  })

  test('of a model that is hidden or unknown is 404', async () => {
    for (const model of ['nothing', api.surroundings.secretModel]) {
      const response = await post(api.jobBody({ model }))
      expect(response.json()).toMatchObject({ status: 404, code: 'model.not_found' })
    }
  })

  test('without credits is refused and says how much is missing', async () => {
    const response = await post(api.jobBody(), {}, 'poor')
    expect(response.json()).toMatchObject({
      status: 402,
      code: 'credits.insufficient',
      missing: '1.5',
      available: '0',
    })
  })

  test.each([
    ['broken JSON', { body: '{"task":', type: 'application/json', status: 400 }],
    ['a dangerous key', { body: '{"__proto__":{"a":1}}', type: 'application/json', status: 400 }],
    [
      'a body that is not JSON',
      { body: 'task=TextToImage', type: 'application/x-www-form-urlencoded', status: 415 },
    ],
    ['plain text', { body: '{}', type: 'text/plain', status: 415 }],
    ['a list', { body: '[]', type: 'application/json', status: 400 }],
    ['null', { body: 'null', type: 'application/json', status: 400 }],
    [
      'too many bytes',
      { body: JSON.stringify({ a: 'x'.repeat(300_000) }), type: 'application/json', status: 413 },
    ],
    ['very deep JSON', { body: '['.repeat(100_000), type: 'application/json', status: 400 }],
  ])('with %s is refused', async (_name, { body, type, status }) => {
    const response = await post(body, { 'content-type': type })
    expect(response.statusCode).toBe(status)
    expect(response.headers['content-type']).toBe('application/problem+json')
  })
})

describe('an Idempotency-Key', () => {
  test('gives the first answer again and makes nothing new', async () => {
    const key = { 'idempotency-key': 'batch 7, picture 1' }
    const first = await post(api.jobBody(), key)
    const second = await post(api.jobBody(), key)
    expect(second.statusCode).toBe(202)
    expect(second.json().id).toBe(first.json().id)
    expect(second.headers['idempotency-replayed']).toBe('true')
    expect(second.headers['location']).toBe(first.headers['location'])
  })

  test('does not care about the order of fields', async () => {
    const key = { 'idempotency-key': 'order' }
    const first = await post(api.jobBody(), key)
    const reversed = Object.fromEntries(Object.entries(api.jobBody()).toReversed())
    expect((await post(reversed, key)).json().id).toBe(first.json().id)
  })

  test('with another body is refused', async () => {
    const key = { 'idempotency-key': 'other body' }
    await post(api.jobBody(), key)
    const other = await post(api.jobBody({ priority: 7 }), key)
    expect(other.json()).toMatchObject({ status: 422, code: 'idempotency.mismatch' })
  })

  test('belongs to one person', async () => {
    const key = { 'idempotency-key': 'mine' }
    const first = await post(api.jobBody(), key)
    const second = await post(api.jobBody(), key, 'noor')
    expect(second.statusCode).toBe(202)
    expect(second.json().id).not.toBe(first.json().id)
  })

  test('makes one job of many requests at once', async () => {
    const key = { 'idempotency-key': 'at once' }
    const responses = await Promise.all(
      Array.from({ length: 8 }, async () => await post(api.jobBody(), key)),
    )
    const accepted = responses.filter(({ statusCode }) => statusCode === 202)
    expect(new Set(accepted.map((response) => response.json().id)).size).toBe(1)
    for (const { statusCode } of responses) expect([202, 409]).toContain(statusCode)
  })

  test.each(['', 'ü', 'a\tb', 'x'.repeat(256)])('%j is refused', async (key) => {
    const response = await post(api.jobBody(), { 'idempotency-key': key })
    expect(response.statusCode).toBe(400)
    expect(response.json().errors).toMatchObject([{ path: 'idempotency-key' }])
  })
})

describe('Prefer: wait', () => {
  test('answers 202 when the time is over', async () => {
    const response = await post(api.jobBody(), { prefer: 'wait=1' })
    expect(response.statusCode).toBe(202)
    expect(response.headers['preference-applied']).toBe('wait=1')
  })

  test('answers 200 as soon as the job has ended', async () => {
    const key = { 'idempotency-key': 'waited for' }
    const { id } = (await post(api.jobBody(), key)).json()
    const waiting = post(api.jobBody(), { ...key, prefer: 'wait=50' })
    await finish(id)
    const response = await waiting
    expect(response.statusCode).toBe(200)
    expect(response.json()).toMatchObject({ id, state: 'Completed' })
  })
})

describe('the list of jobs', () => {
  test('has everything once, newest first, page by page', async () => {
    const wanted = new Set<string>()
    for (let index = 0; index < 5; index += 1) wanted.add(await api.submit('noor'))
    const seen: string[] = []
    let url = '/v1/jobs?limit=2'
    for (let pages = 0; pages < 20; pages += 1) {
      const page = jobPage.parse((await api.call({ url, as: 'noor' })).json())
      expect(page.items.length).toBeLessThanOrEqual(2)
      seen.push(...page.items.map(({ id }) => id))
      if (page.next === null) break
      url = `/v1/jobs?limit=2&cursor=${page.next}`
    }
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen).toEqual(seen.toSorted().toReversed())
    expect(seen.filter((id) => wanted.has(id))).toHaveLength(5)
  })

  test('can be narrowed to a state', async () => {
    const response = await api.call({ url: '/v1/jobs?state=Cancelled', as: 'sam' })
    expect(response.json()).toEqual({ items: [], next: null })
  })

  test.each([
    ['state=Nonsense', 'state'],
    ['state=Pending&state=Running', 'state'],
    ['cursor=AAAA', 'cursor'],
    ['offset=3', 'offset'],
  ])('refuses ?%s', async (query, path) => {
    const response = await api.call({ url: `/v1/jobs?${query}`, as: 'mina' })
    expect(response.statusCode).toBe(400)
    expect(response.json().errors).toMatchObject([{ path }])
  })
})

describe('cancelling', () => {
  test('is accepted, and again, and reaches the custom resource', async () => {
    const id = await api.submit('mina')
    const cancel = async () =>
      await api.call({ method: 'POST', url: `/v1/jobs/${id}/cancel`, as: 'mina' })
    expect((await cancel()).statusCode).toBe(202)
    expect((await cancel()).statusCode).toBe(202)
  })

  test('a job that has completed is refused', async () => {
    const id = await api.submit('mina')
    await finish(id)
    const response = await api.call({ method: 'POST', url: `/v1/jobs/${id}/cancel`, as: 'mina' })
    expect(response.json()).toMatchObject({ status: 409, code: 'job.ended' })
  })
})

describe('somebody else’s job', () => {
  test('is not there for members, and is for their admin and super admins', async () => {
    const id = await api.submit('mina')
    const statusFor = async (person: Person, path = '') =>
      (await api.call({ url: `/v1/jobs/${id}${path}`, as: person })).statusCode
    expect(await statusFor('mina')).toBe(200)
    expect(await statusFor('noor')).toBe(404)
    expect(await statusFor('sam')).toBe(404)
    expect(await statusFor('lead')).toBe(200)
    expect(await statusFor('root')).toBe(200)
    expect(await statusFor('noor', '/events')).toBe(404)
    const cancel = await api.call({ method: 'POST', url: `/v1/jobs/${id}/cancel`, as: 'sam' })
    expect(cancel.json()).toMatchObject({ status: 404, code: 'job.not_found' })
    const unknown = await api.call({ url: '/v1/jobs/01jd6z0c5m8k2v3n4p5q6r7s8t', as: 'noor' })
    const hidden = await api.call({ url: `/v1/jobs/${id}`, as: 'noor' })
    expect({ ...hidden.json(), instance: '', detail: '' }).toEqual({
      ...unknown.json(),
      instance: '',
      detail: '',
    })
  })
})

describe('an artifact', () => {
  const bytes = Buffer.from('not really a picture')
  const sha256 = createHash('sha256').update(bytes).digest('hex')

  async function finishWithPicture(person: Person): Promise<string> {
    const jobId = await api.submit(person)
    const key = `artifacts/${jobId}/1/0-0.png`
    const facts = { sha256, sizeBytes: bytes.length, contentType: 'image/png' }
    await api.core.objects.put(key, Readable.from([bytes]), facts)
    const inputChanges = ['inputs[0]: rotated as its EXIF orientation 6 says']
    const size = { width: 64, height: 64 }
    const outputs = [{ name: '0-0.png', key, ...facts, ...size, seed: 7, inputChanges }]
    const status = { conditions: [succeeded('True', 'Completed')], outputs }
    await eventually(async () => await api.surroundings.setJobStatus(jobId, status))
    return `${jobId}.1.0-0.png`
  }

  test('is described with a link, and the link gives the bytes without a token', async () => {
    const id = await finishWithPicture('mina')
    const described = await eventually(async () => {
      const response = await api.call({ url: `/v1/artifacts/${id}`, as: 'mina' })
      expect(response.statusCode).toBe(200)
      return response.json()
    })
    expect(described).toMatchObject({ id, sha256, contentType: 'image/png', width: 64 })
    expect(described.inputChanges).toEqual([expect.stringContaining('EXIF orientation 6')])
    const { pathname, search } = new URL(described.url)
    const served = await api.call({ url: pathname + search })
    expect(served.rawPayload.equals(bytes)).toBe(true)
    expect(served.headers).toMatchObject({
      'content-type': 'image/png',
      'content-disposition': 'inline; filename="0-0.png"',
      'x-content-type-options': 'nosniff',
      'cache-control': 'private, max-age=31536000, immutable',
      'content-security-policy': expect.stringContaining('sandbox'),
    })
    const foreign = await api.call({ url: `/v1/artifacts/${id}`, as: 'noor' })
    expect(foreign.json()).toMatchObject({ status: 404, code: 'artifact.not_found' })
    for (const changed of [
      pathname + search.replace(/signature=.*/, 'signature=AAAA'),
      pathname + search.replace(/expires=\d+/, 'expires=9999999999999'),
      pathname.replace('0-0.png', '0-1.png') + search,
      `${pathname.replace('0-0.png', '%2e%2e/0-0.png')}${search}`,
    ]) {
      const refused = await api.call({ url: changed })
      expect([changed, refused.json().code]).toEqual([changed, 'object.url_invalid'])
    }
  })

  test.each(['nothing', 'a.b.c', '01jd6z0c5m8k2v3n4p5q6r7s8t.1.x.png', '%00', '{"$gt":""}'])(
    '%j is not found',
    async (id) => {
      const url = `/v1/artifacts/${encodeURIComponent(id).replace('%2500', '%00')}`
      const response = await api.call({ url, as: 'mina' })
      expect(response.json()).toMatchObject({ status: 404, code: 'artifact.not_found' })
    },
  )

  test('link without its parameters is refused', async () => {
    const response = await api.call({ url: '/v1/objects/artifacts/x' })
    expect(response.statusCode).toBe(400)
    expect(response.json().errors).toMatchObject([{ path: 'expires' }, { path: 'signature' }])
  })
})
