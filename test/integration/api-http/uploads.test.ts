import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { artifact } from '../../../src/shared/wire/jobs.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

let api: TestApi
let picture: Buffer
let address: string
beforeAll(async () => {
  api = await startApi()
  picture = await pictureOf(64, 64)
  address = await api.api.app.listen({ host: '127.0.0.1', port: 0 })
})
afterAll(async () => {
  await api.close()
})

async function pictureOf(width: number, height: number, background = 'red'): Promise<Buffer> {
  return await sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer()
}

type Sent = { readonly as?: Person; readonly type?: string }

const upload = async (body: Buffer | string, { as = 'mina', type = 'image/png' }: Sent = {}) =>
  await api.call({
    method: 'POST',
    url: '/v1/artifacts',
    as,
    body,
    headers: { 'content-type': type },
  })

async function uploaded(body: Buffer, as: Person = 'mina'): Promise<string> {
  const response = await upload(body, { as })
  expect(response.statusCode).toBe(201)
  return artifact.parse(response.json()).id
}

const read = async (id: string, as: Person) => await api.call({ url: `/v1/artifacts/${id}`, as })
const remove = async (id: string, as: Person) =>
  await api.call({ method: 'DELETE', url: `/v1/artifacts/${id}`, as })

describe('an uploaded picture', () => {
  test('is described with its size and digest, and its link gives the bytes', async () => {
    const response = await upload(picture)
    expect(response.statusCode).toBe(201)
    const stored = artifact.parse(response.json())
    expect(response.headers['location']).toBe(`/v1/artifacts/${stored.id}`)
    expect(stored).toMatchObject({
      sha256: createHash('sha256').update(picture).digest('hex'),
      sizeBytes: picture.length,
      contentType: 'image/png',
      width: 64,
      height: 64,
    })
    const { pathname, search } = new URL(stored.url)
    const served = await api.call({ url: pathname + search })
    expect(served.rawPayload.equals(picture)).toBe(true)
    expect(served.headers['content-type']).toBe('image/png')
  })

  test.each([
    ['jpeg', 'image/jpeg'],
    ['webp', 'Image/WebP; q=1'],
  ] as const)('may be a %s', async (format, type) => {
    const bytes = await sharp(picture).toFormat(format).toBuffer()
    const response = await upload(bytes, { type })
    expect(response.json()).toMatchObject({ contentType: `image/${format}`, width: 64, height: 64 })
  })

  test('is the same artifact when it is sent again, and another one of somebody else', async () => {
    const id = await uploaded(picture)
    expect(await uploaded(picture)).toBe(id)
    expect(await uploaded(picture, 'noor')).not.toBe(id)
  })

  test('is not there for others, and is for their admin and super admins', async () => {
    const id = await uploaded(picture)
    const statuses: Record<string, number> = {}
    for (const person of ['mina', 'noor', 'sam', 'lead', 'root'] as const) {
      statuses[person] = (await read(id, person)).statusCode
    }
    expect(statuses).toEqual({ mina: 200, noor: 404, sam: 404, lead: 200, root: 200 })
  })

  test('is gone for everybody once its owner deletes it, with its bytes', async () => {
    const bytes = await pictureOf(64, 64, 'blue')
    const id = await uploaded(bytes)
    const { url } = artifact.parse((await read(id, 'mina')).json())
    expect((await remove(id, 'noor')).json()).toMatchObject({ code: 'artifact.not_found' })
    expect((await remove(id, 'mina')).statusCode).toBe(204)
    expect((await read(id, 'mina')).statusCode).toBe(404)
    expect((await remove(id, 'mina')).statusCode).toBe(404)
    const { pathname, search } = new URL(url)
    expect((await api.call({ url: pathname + search })).statusCode).toBe(404)
    expect(await uploaded(bytes)).toBe(id)
    expect((await read(id, 'mina')).statusCode).toBe(200)
  })

  test('is counted', async () => {
    const printed = await api.registry.metrics()
    expect(printed).toMatch(/atelier_api_picture_uploads_total\{outcome="accepted"\} [1-9]/)
    expect(printed).toMatch(/atelier_api_picture_upload_bytes_total [1-9]/)
  })
})

describe('an output of a job', () => {
  test('cannot be deleted: it stays with its job', async () => {
    const response = await remove('01jd6z0c5m8k2v3n4p5q6r7s8t.1.image-0.png', 'mina')
    expect(response.json()).toMatchObject({ status: 409, code: 'artifact.kept' })
  })
})

describe('a body that is refused', () => {
  test.each([
    ['nothing', '', { type: 'image/png', code: 'request.invalid' }],
    [
      'an SVG',
      '<svg xmlns="http://www.w3.org/2000/svg"/>',
      { type: 'image/png', code: 'request.invalid' },
    ],
    [
      'a script that is a GIF too',
      'GIF89a=1;alert(1)',
      { type: 'image/png', code: 'request.invalid' },
    ],
    ['the type of an SVG', '<svg/>', { type: 'image/svg+xml', code: 'request.media_type' }],
    ['JSON', '{}', { type: 'application/json', code: 'request.media_type' }],
    ['a form', 'a=1', { type: 'multipart/form-data; boundary=x', code: 'request.media_type' }],
  ])('as %s', async (_what, body, { type, code }) => {
    const response = await upload(body, { type })
    expect(response.json()).toMatchObject({ code })
    expect(response.headers['content-type']).toBe('application/problem+json')
  })

  test('as a picture of another type than it says', async () => {
    const response = await upload(picture, { type: 'image/jpeg' })
    expect(response.json()).toMatchObject({
      code: 'request.invalid',
      detail: expect.stringContaining('is image/png, but its Content-Type says image/jpeg'),
    })
  })

  test('as a picture that is cut before its size', async () => {
    expect((await upload(picture.subarray(0, 20))).json()).toMatchObject({
      code: 'request.invalid',
    })
  })

  test('as 30,000 times 30,000 pixels', async () => {
    const huge = Buffer.from(picture)
    huge.writeUInt32BE(30_000, 16)
    huge.writeUInt32BE(30_000, 20)
    expect((await upload(huge)).json()).toMatchObject({
      code: 'request.invalid',
      detail: expect.stringContaining('30000x30000'),
    })
  })

  test('leaves nothing behind', async () => {
    const before = await countObjects()
    await upload(picture.subarray(0, 20))
    await upload(Buffer.concat([picture, Buffer.alloc(33 * 2 ** 20)]))
    expect(await countObjects()).toBe(before)
  })
})

async function countObjects(): Promise<number> {
  let count = 0
  for await (const _object of api.core.objects.list('uploads/')) count += 1
  return count
}

const post = async (body: Buffer | ReadableStream, type = 'image/png') =>
  await fetch(`${address}/v1/artifacts`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${await api.tokenOf('mina')}`,
      'content-type': type,
    },
    body,
    // Sent in pieces of unknown number where the body is a stream.
    ...(body instanceof ReadableStream && { duplex: 'half' }),
  })

describe('over a real connection', () => {
  test('32 MiB are taken and one byte more is not', async () => {
    const padding = 32 * 2 ** 20 - picture.length
    const fits = Buffer.concat([picture, Buffer.alloc(padding)])
    expect((await post(fits)).status).toBe(201)
    const more = Buffer.concat([fits, Buffer.alloc(1)])
    expect((await post(more)).status).toBe(413)
    const pieces = new Blob([more]).stream()
    expect((await post(pieces)).status).toBe(413)
  })

  test('a refusal comes back although the body is still on its way', async () => {
    const response = await post(new Blob([Buffer.alloc(8 * 2 ** 20, 'x')]).stream())
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ code: 'request.invalid' })
  })

  test('a client that goes away in the middle leaves no object and no failure', async () => {
    const before = await countObjects()
    const socket = connect(Number(new URL(address).port), '127.0.0.1')
    await once(socket, 'connect')
    const head = [
      'POST /v1/artifacts HTTP/1.1',
      'Host: a',
      `Authorization: Bearer ${await api.tokenOf('mina')}`,
      'Content-Type: image/png',
      'Content-Length: 100000',
    ]
    socket.write(`${head.join('\r\n')}\r\n\r\n`)
    socket.write(picture)
    setTimeout(() => socket.destroy(), 200)
    await text(socket).catch(() => '')
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(await countObjects()).toBe(before)
    expect(api.logged.filter((line) => line.includes('"level":50'))).toEqual([])
  })
})

const submit = async (changes: object, as: Person = 'mina') => {
  const body = { ...api.jobBody(), ...changes }
  return await api.call({ method: 'POST', url: '/v1/jobs', as, body })
}
const change = (parameters: object, ...inputs: readonly object[]) => ({
  task: inputs.length === 2 ? 'Inpaint' : 'ImageToImage',
  parameters: { prompt: 'metal', seed: 7, ...parameters },
  inputs,
})
const imageOf = (id: string) => ({ role: 'Image', artifact: id })
const maskOf = (id: string) => ({ role: 'Mask', artifact: id })

describe('a job of uploaded pictures', () => {
  test('is accepted with the defaults of its task and says what it counts', async () => {
    const image = imageOf(await uploaded(picture))
    const mask = maskOf(await uploaded(await pictureOf(64, 64, 'white')))
    const changed = await submit(change({ scheduler: 'k_euler' }, image))
    expect(changed.json()).toMatchObject({
      task: 'ImageToImage',
      parameters: { strength: 0.8, scheduler: 'Euler', promptSyntax: 'Plain' },
      cost: { basis: { images: 1, modelCalls: 16, megapixels: 0.004096 } },
    })
    const painted = await submit(change({ batchCount: 2, maskBlur: 4 }, image, mask))
    expect(painted.json()).toMatchObject({
      parameters: { strength: 1, maskBlur: 4, inpaintArea: 'Whole', keepUnmaskedPixels: false },
      cost: { held: '3', basis: { images: 2, modelCalls: 40 } },
    })
  })

  test('is refused with both sizes when nobody said how to change one', async () => {
    const small = await uploaded(await pictureOf(40, 24))
    const refused = await submit(change({}, imageOf(small)))
    expect(refused.statusCode).toBe(400)
    expect(refused.json().errors).toMatchObject([
      {
        path: '/inputs/0',
        message: expect.stringContaining('has 40x24 pixels, the job makes 64x64'),
      },
    ])
    expect((await submit(change({ resizeMode: 'Fit' }, imageOf(small)))).statusCode).toBe(202)
    const whole = await uploaded(picture)
    const other = await submit(change({}, imageOf(whole), maskOf(small)))
    expect(other.json().errors).toMatchObject([{ path: '/inputs/1' }])
    const boxed = change({ inpaintArea: 'MaskedOnly' }, imageOf(small), maskOf(small))
    expect((await submit(boxed)).statusCode).toBe(202)
  })

  test('is refused when the picture is another person’s or was deleted', async () => {
    const id = await uploaded(picture)
    const foreign = await submit(change({}, imageOf(id)), 'noor')
    expect(foreign.json().errors).toMatchObject([{ path: '/inputs/0' }])
    const gone = await uploaded(await pictureOf(64, 64, 'green'))
    await remove(gone, 'mina')
    const refused = await submit(change({}, imageOf(gone)))
    expect(refused.json().errors).toMatchObject([{ path: '/inputs/0' }])
  })

  test('is refused with inputs that its task does not take', async () => {
    const id = await uploaded(picture)
    const twice = { ...change({}, imageOf(id)), inputs: [imageOf(id), imageOf(id)] }
    expect((await submit(twice)).json().errors).toMatchObject([{ path: '/inputs' }])
    const noMask = { ...change({}, imageOf(id)), task: 'Inpaint' }
    expect((await submit(noMask)).json().errors).toMatchObject([{ path: '/inputs' }])
  })

  test('takes LoRAs of its model’s family and department, by name', async () => {
    const { lora, foreignLora, secretModel, model } = api.surroundings
    const withLora = async (name: string, scale?: number) =>
      await submit({ parameters: { prompt: 'metal', loras: [{ name, scale }] } })
    const accepted = await withLora(lora, 0.5)
    expect(accepted.json()).toMatchObject({ parameters: { loras: [{ name: lora, scale: 0.5 }] } })
    for (const name of ['nothing', foreignLora, secretModel, model]) {
      const refused = await withLora(name)
      expect([name, refused.statusCode]).toEqual([name, 400])
      expect(refused.json().errors).toMatchObject([{ path: '/parameters/loras/0/name' }])
    }
    const asModel = await submit({ model: lora })
    expect(asModel.json().errors).toMatchObject([{ path: '/model' }])
  })
})

describe('the list of schedulers', () => {
  test('has each one with its aliases, and a guest may not read it', async () => {
    const response = await api.call({ url: '/v1/schedulers', as: 'mina' })
    const items: readonly { readonly name: string }[] = response.json().items
    expect(items).toContainEqual({
      name: 'DPM++ 2M Karras',
      aliases: expect.arrayContaining(['k_dpmpp_2m_ka']),
      className: 'DPMSolverMultistepScheduler',
      secondOrder: false,
      stochastic: false,
      settings: { use_karras_sigmas: true },
    })
    expect(items.length).toBeGreaterThanOrEqual(22)
    expect((await api.call({ url: '/v1/schedulers', as: 'gast' })).statusCode).toBe(403)
  })
})

const setQuota = async (uploadQuotaBytes: number): Promise<void> => {
  const { revision } = (await api.call({ url: '/v1/settings', as: 'root' })).json()
  const body = { revision, values: { tiers: { Free: { uploadQuotaBytes } } } }
  const response = await api.call({ method: 'PATCH', url: '/v1/settings', as: 'root', body })
  expect(response.statusCode).toBe(200)
}
const usedBy = async (as: Person): Promise<number> =>
  (await api.call({ url: '/v1/users/me/limits', as })).json().used.uploadBytes

describe('the quota of uploads', () => {
  test('takes one of two pictures at the limit, and the same one again for free', async () => {
    const first = await pictureOf(80, 80, 'navy')
    const others = await Promise.all(
      ['teal', 'lime'].map(async (colour) => await pictureOf(96, 96, colour)),
    )
    const id = await uploaded(first, 'sam')
    expect(await usedBy('sam')).toBe(first.length)
    const size = others[0]?.length ?? 0
    await setQuota(first.length + size)
    const answers = await Promise.all(others.map(async (one) => await upload(one, { as: 'sam' })))
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([201, 409]))
    const refused = answers.find(({ statusCode }) => statusCode === 409)
    expect(refused?.json()).toMatchObject({
      code: 'limit.upload_quota',
      limit: first.length + size,
      used: first.length + size,
      size,
    })
    expect(await uploaded(first, 'sam')).toBe(id)
    const waiting = others[answers.findIndex(({ statusCode }) => statusCode === 409)] ?? first
    expect((await upload(waiting, { as: 'sam' })).statusCode).toBe(409)
    await remove(id, 'sam')
    expect(await usedBy('sam')).toBe(size)
    await setQuota(2 * size)
    expect((await upload(waiting, { as: 'sam' })).statusCode).toBe(201)
    expect(await usedBy('sam')).toBe(2 * size)
    await setQuota(1024 ** 3)
  })

  test('counts the same bytes once, sent ten times at once, and nothing refused', async () => {
    const one = await pictureOf(72, 72, 'olive')
    const before = await usedBy('noor')
    const answers = await Promise.all(
      Array.from({ length: 10 }, async () => await upload(one, { as: 'noor' })),
    )
    expect(new Set(answers.map((response) => response.json().id)).size).toBe(1)
    expect((await upload(one.subarray(0, 20), { as: 'noor' })).statusCode).toBe(400)
    expect(await usedBy('noor')).toBe(before + one.length)
  })
})
