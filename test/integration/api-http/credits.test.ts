import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { startApi, type TestApi } from './harness.ts'

let api: TestApi
let department: string
let userId: string
let accountId: string
beforeAll(async () => {
  api = await startApi()
  const me = (await api.call({ url: '/v1/users/me', as: 'mina' })).json()
  ;({ id: userId, department } = z
    .looseObject({ id: z.string(), department: z.string() })
    .parse(me))
  accountId = accountIdOf({ department, user: userId })
})
afterAll(async () => {
  await api.close()
})

const newKey = (): string => randomBytes(8).toString('hex')

const issue = async (key: string, changes: object = {}) =>
  await api.call({
    method: 'POST',
    url: '/v1/credits/issues',
    as: 'root',
    body: { department, user: userId, credits: '2', ...changes },
    headers: { 'idempotency-key': key },
  })

const entries = async () => {
  const url = `/v1/audit-log?action=credits.issued&target=${accountId}&limit=100`
  return auditLogPage.parse((await api.call({ url, as: 'root' })).json()).items
}

describe('an issue of credits', () => {
  test('is in the audit log once, with its id and expiry, however often it is sent', async () => {
    const before = (await entries()).length
    const key = newKey()
    const expiresTime = new Date(Date.now() + 3_600_000).toISOString()
    const first = await issue(key, { expiresTime })
    expect(first.statusCode).toBe(201)
    const all = await Promise.all([1, 2, 3].map(async () => await issue(key, { expiresTime })))
    expect(all.map(({ body }) => body)).toEqual([first.body, first.body, first.body])
    const found = await entries()
    expect(found).toHaveLength(before + 1)
    expect(found[0]).toMatchObject({
      actor: { role: 'super_admin' },
      target: { kind: 'Account', id: accountId, department },
      after: { credits: '2', expiresTime, issueId: expect.stringMatching(/^rest:/) },
    })
    await issue(newKey())
    expect(await entries()).toHaveLength(before + 2)
  })

  test('that is refused is not in the audit log', async () => {
    const key = newKey()
    await issue(key)
    const before = await entries()
    const past = await issue(newKey(), { expiresTime: '2020-01-01T00:00:00Z' })
    expect(past.json()).toMatchObject({ status: 400, code: 'request.invalid' })
    const mismatch = await issue(key, { credits: '3' })
    expect(mismatch.json()).toMatchObject({ status: 422, code: 'idempotency.mismatch' })
    const nobody = await issue(newKey(), { user: 'nobody' })
    expect(nobody.json()).toMatchObject({ status: 404, code: 'user.not_found' })
    expect(await entries()).toEqual(before)
  })

  test.each([
    ['more than 40 characters', `2030-01-01T00:00:00.${'0'.repeat(30)}Z`],
    ['a year of five digits', '+10000-01-01T00:00:00Z'],
    ['another time zone', '9999-12-31T23:59:59-12:00'],
  ])('refuses %s as its expiry', async (_what, expiresTime) => {
    const refused = await issue(newKey(), { expiresTime })
    expect(refused.json()).toMatchObject({ status: 400, errors: [{ path: '/expiresTime' }] })
  })
})
