import { Readable } from 'node:stream'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openUploadUsage } from '../../../src/api/features/artifacts/upload-usage.ts'
import { createUploadService } from '../../../src/api/features/artifacts/uploads.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { artifact } from '../../../src/shared/wire/jobs.ts'
import { eventually } from '../../support/eventually.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

const selfShape = z.looseObject({ id: z.string(), department: z.string() })
const selfOf = async (as: Person) =>
  selfShape.parse((await api.call({ url: '/v1/users/me', as })).json())

async function uploaded(background: string, as: Person): Promise<string> {
  const create = { width: 64, height: 64, channels: 3, background } as const
  const body = await sharp({ create }).png().toBuffer()
  const headers = { 'content-type': 'image/png' }
  const response = await api.call({ method: 'POST', url: '/v1/artifacts', as, body, headers })
  expect(response.statusCode).toBe(201)
  return artifact.parse(response.json()).id
}

const read = async (id: string, as: Person) => await api.call({ url: `/v1/artifacts/${id}`, as })
const remove = async (id: string, as: Person) =>
  await api.call({ method: 'DELETE', url: `/v1/artifacts/${id}`, as })
const usedBy = async (as: Person): Promise<number> =>
  (await api.call({ url: '/v1/users/me/limits', as })).json().used.uploadBytes
const submit = async (id: string, as: Person) => {
  const inputs = [{ role: 'Image', artifact: id }]
  const body = api.jobBody({ task: 'ImageToImage', inputs })
  return await api.call({ method: 'POST', url: '/v1/jobs', as, body })
}

async function move(person: Person, department: string): Promise<void> {
  const { id } = await selfOf(person)
  const url = `/v1/users/${id}/department`
  const response = await api.call({ method: 'PUT', url, as: 'root', body: { department } })
  expect(response.statusCode).toBe(200)
  await eventually(async () => expect((await selfOf(person)).department).toBe(department))
  // Their credits stayed with the department that they left.
  const accountId = accountIdOf({ department, user: id })
  const issue = { accountId, issueId: accountId, microCredits: 10_000_000, expiresMs: null }
  await api.core.accounts.issue(issue)
}

describe('a person who moves to another department', () => {
  test('reads, uses and deletes what they uploaded before, and gets its room back', async () => {
    const id = await uploaded('navy', 'noor')
    const used = await usedBy('noor')
    await move('noor', api.surroundings.research)
    expect((await read(id, 'noor')).statusCode).toBe(200)
    expect((await submit(id, 'noor')).statusCode).toBe(202)
    for (const other of ['mina', 'sam'] as const) {
      expect([other, (await read(id, other)).statusCode]).toEqual([other, 404])
      expect([other, (await submit(id, other)).statusCode]).toEqual([other, 400])
      expect([other, (await remove(id, other)).statusCode]).toEqual([other, 404])
    }
    expect(await usedBy('noor')).toBe(used)
    expect((await remove(id, 'noor')).statusCode).toBe(204)
    expect(await usedBy('noor')).toBe(0)
    expect((await submit(id, 'noor')).statusCode).toBe(400)
  })
})

describe('a deletion', () => {
  test('asked for eight times at once is told of once, and gives its room back once', async () => {
    await uploaded('teal', 'mina')
    const before = await usedBy('mina')
    const id = await uploaded('lime', 'mina')
    const answers = await Promise.all(Array.from({ length: 8 }, () => remove(id, 'mina')))
    const statuses = new Set(answers.map(({ statusCode }) => statusCode))
    expect(statuses.has(204)).toBe(true)
    const url = `/v1/audit-log?action=artifact.deleted&target=${id}`
    const { items } = auditLogPage.parse((await api.call({ url, as: 'root' })).json())
    expect(items).toHaveLength(1)
    expect(await usedBy('mina')).toBe(before)
  })
})

describe('more uploads at once than a replica takes', () => {
  test('are refused with the limit and when to come again', async () => {
    const { core } = api
    const uploadUsage = openUploadUsage(core.database, core.pictures)
    const uploads = createUploadService({ ...core, uploadUsage, clock: systemClock })
    const { id: userId, department } = await selfOf('mina')
    const caller = { userId, department, role: 'department_member' } as const
    const bodies = Array.from({ length: 33 }, () => new Readable({ read: () => undefined }))
    const all = bodies.map(
      async (body) =>
        await uploads.upload(caller, { contentType: 'image/png', sizeBytes: undefined, body }),
    )
    const settled = Promise.allSettled(all)
    await expect(all.at(-1)).rejects.toMatchObject({
      code: 'rate.limited',
      details: { limit: 32, count: 32 },
      retryAfterSeconds: 5,
    })
    for (const body of bodies) body.destroy()
    expect((await settled).every(({ status }) => status === 'rejected')).toBe(true)
  })
})
