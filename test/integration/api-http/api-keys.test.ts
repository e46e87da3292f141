import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ApiKeyRow } from '../../../src/api/features/api-keys/store.ts'
import { keyScopes } from '../../../src/shared/domain/permissions.ts'
import { apiKeyPage } from '../../../src/shared/wire/api-keys.ts'
import { canaryPassword } from '../../support/canary.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

const limit = 50
const keys = () => api.core.database.native.collection<ApiKeyRow>('apiKeys')

const create = async (as: Person, changes: Record<string, unknown> = {}) => {
  const body = { name: 'Line 4', scopes: ['users.read_self', 'jobs.read'], ...changes }
  return await api.call({ method: 'POST', url: '/v1/api-keys', as, body })
}
const made = async (as: Person, changes: Record<string, unknown> = {}) => {
  const answer = await create(as, changes)
  expect(answer.statusCode).toBe(201)
  return answer.json()
}
const use = async (key: string, url = '/v1/users/me') =>
  await api.call({ url, headers: { authorization: `Bearer ${key}` } })
const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`

describe('an API key', () => {
  test('is shown once and stored as a hash', async () => {
    const answer = await create('mina', { name: '  Line 4  ' })
    const view = answer.json()
    expect(view).toEqual({
      id: expect.stringMatching(/^[0-9a-z]{26}$/),
      name: 'Line 4',
      scopes: ['users.read_self', 'jobs.read'],
      creationTime: expect.any(String),
      expiresTime: null,
      lastUseTime: null,
      key: expect.stringMatching(/^ak_[0-9a-z]{26}_[\w-]{43}$/),
    })
    const list = await api.call({ url: '/v1/api-keys', as: 'mina' })
    const { key, ...shown } = view
    expect(list.json().items).toContainEqual(shown)
    const secret = key.slice(-43)
    const log = await api.core.people.auditLog.page({ limit: 500 })
    const text = JSON.stringify([await keys().find().toArray(), log, api.logged, list.json()])
    expect(text).not.toContain(secret)
  })

  test('acts as its owner, as bearer and as the password of Basic, within its scopes', async () => {
    const { key } = await made('mina')
    expect((await use(key)).json()).toMatchObject({ name: 'Mina Moon' })
    for (const user of ['', 'mina']) {
      const headers = { authorization: basic(user, key) }
      expect((await api.call({ url: '/v1/users/me', headers })).statusCode).toBe(200)
    }
    expect((await use(key, '/v1/jobs')).statusCode).toBe(200)
    for (const url of ['/v1/models', '/v1/sessions', '/v1/api-keys', '/v1/users']) {
      expect([url, (await use(key, url)).json().code]).toEqual([url, 'auth.forbidden'])
    }
  })

  test('is noted in the audit log when it is made and revoked', async () => {
    const expiresTime = '2099-01-01T09:00:00+09:00'
    const { id } = await made('mina', { name: 'noted', expiresTime })
    const url = `/v1/api-keys/${id}`
    expect((await api.call({ method: 'DELETE', url, as: 'mina' })).statusCode).toBe(204)
    const log = await api.core.people.auditLog.page({ targetId: id, limit: 10 })
    expect(log).toMatchObject([
      { action: 'api_key.revoked', target: { kind: 'ApiKey', id } },
      {
        action: 'api_key.created',
        after: {
          name: 'noted',
          scopes: 'users.read_self jobs.read',
          expiresTime: '2099-01-01T00:00:00.000Z',
        },
      },
    ])
    expect(log[1]?.origin).toMatchObject({ ip: '127.0.0.1' })
  })

  test('is named in the audit log by what it does', async () => {
    const { id, key } = await made('root', { scopes: ['settings.update'] })
    const headers = { authorization: `Bearer ${key}` }
    const { revision } = (await api.call({ url: '/v1/settings', as: 'root' })).json()
    const body = { revision, values: { guestDays: 4 } }
    const change = { method: 'PATCH', url: '/v1/settings', body, headers } as const
    expect((await api.call(change)).statusCode).toBe(200)
    const url = '/v1/audit-log?limit=1&action=settings.changed'
    expect((await api.call({ url, as: 'root' })).json()).toMatchObject({
      items: [{ actor: { kind: 'User', role: 'super_admin', keyId: id } }],
    })
    const ofKey = `/v1/audit-log?limit=1&target=${id}`
    expect((await api.call({ url: ofKey, as: 'root' })).json()).toMatchObject({
      items: [{ action: 'api_key.created', actor: { keyId: null } }],
    })
  })

  test('notes its last use, once a minute', async () => {
    const { id, key } = await made('mina')
    await use(key)
    const first = (await keys().findOne({ _id: id }))?.lastUseMs
    expect(first).toEqual(expect.any(Number))
    await use(key)
    expect((await keys().findOne({ _id: id }))?.lastUseMs).toBe(first)
  })
})

describe('is refused', () => {
  test.each([
    ['a scope beyond one’s role', { scopes: ['jobs.read', 'settings.update'] }, '/scopes/1'],
    ['a scope of an admin', { scopes: ['users.invite'] }, '/scopes/0'],
    ['a scope that no key may have', { scopes: ['sessions.manage'] }, '/scopes/0'],
    ['an unknown scope', { scopes: ['everything'] }, '/scopes/0'],
    ['no scope', { scopes: [] }, '/scopes'],
    ['an end in the past', { expiresTime: '2020-01-01T00:00:00Z' }, '/expiresTime'],
    ['an end that is no time', { expiresTime: 'tomorrow' }, '/expiresTime'],
    [
      'an end that is too long',
      { expiresTime: `2099-01-01T00:00:00.${'0'.repeat(200_000)}Z` },
      '/expiresTime',
    ],
    ['an end after the year 9999', { expiresTime: '9999-12-31T23:59:59-23:59' }, '/expiresTime'],
    ['an empty name', { name: '   ' }, '/name'],
    ['a name with control characters', { name: 'a\u0000b' }, '/name'],
    ['a name that is too long', { name: 'x'.repeat(81) }, '/name'],
    ['an operator as name', { name: { $gt: '' } }, '/name'],
    ['an owner', { userId: 'u-1' }, '/userId'],
  ])('%s', async (_name, changes, path) => {
    const answer = await create('mina', changes)
    expect(answer.statusCode).toBe(400)
    expect(answer.json().errors).toContainEqual(expect.objectContaining({ path }))
  })

  test('a guest, who may have no keys', async () => {
    expect((await create('gast')).json().code).toBe('auth.forbidden')
  })

  test('all scopes to a member, and none to a super admin', async () => {
    expect((await create('mina', { scopes: keyScopes })).statusCode).toBe(400)
    expect((await create('root', { scopes: keyScopes })).statusCode).toBe(201)
  })
})

describe('is not accepted', () => {
  test('a key that is wrong in any part', async () => {
    const { id, key } = await made('mina')
    const flipped = key.slice(0, -1) + (key.endsWith('A') ? 'B' : 'A')
    const wrong = [flipped, key.slice(0, -1), `${key}A`, `ak_${id}_`, 'ak_', key.toUpperCase()]
    const unknown = key.replace(id, '01jd6z0c5m8k2v3n4p5q6r7s8t')
    for (const text of [...wrong, unknown]) {
      expect([text, (await use(text)).json().code]).toEqual([text, 'auth.invalid_token'])
    }
    expect((await use(key)).statusCode).toBe(200)
  })

  test('a person’s own password, or an access token, as the password of Basic', async () => {
    const token = await api.tokenOf('mina')
    for (const password of [canaryPassword, token, '']) {
      const headers = { authorization: basic(api.emailOf('mina'), password) }
      const answer = await api.call({ url: '/v1/users/me', headers })
      expect(answer.json()).toMatchObject({ status: 401, code: 'auth.invalid_token' })
    }
  })

  test('a revoked key, at once; and it cannot be revoked twice', async () => {
    const { id, key } = await made('mina')
    expect((await use(key)).statusCode).toBe(200)
    const request = { method: 'DELETE', url: `/v1/api-keys/${id}`, as: 'mina' } as const
    expect((await api.call(request)).statusCode).toBe(204)
    expect((await use(key)).statusCode).toBe(401)
    expect((await api.call(request)).json()).toMatchObject({ code: 'api_key.not_found' })
    const { items } = (await api.call({ url: '/v1/api-keys?limit=100', as: 'mina' })).json()
    expect(items.map((item: { id: string }) => item.id)).not.toContain(id)
  })

  test('somebody else’s wish to revoke it', async () => {
    const { id, key } = await made('mina')
    for (const as of ['noor', 'lead', 'root'] as const) {
      const answer = await api.call({ method: 'DELETE', url: `/v1/api-keys/${id}`, as })
      expect(answer.json()).toMatchObject({ status: 404, code: 'api_key.not_found' })
    }
    expect((await use(key)).statusCode).toBe(200)
  })

  test('an expired key', async () => {
    const { id, key } = await made('mina', { expiresTime: '2099-01-01T00:00:00+09:00' })
    await keys().updateOne({ _id: id }, { $set: { expiresMs: Date.now() - 1 } })
    expect((await use(key)).statusCode).toBe(401)
  })

  test('the key of somebody who is disabled, or what their new role does not include', async () => {
    const { directory } = api.core.people
    const sam = await directory.findByEmail(api.emailOf('sam'))
    const { key } = await made('sam')
    expect((await use(key, '/v1/jobs')).statusCode).toBe(200)
    const change = async (set: Parameters<typeof directory.change>[1]['set']) => {
      const target = { kind: 'User', id: sam?._id ?? '', department: null }
      const facts = { action: 'user.role_changed', target } as const
      await directory.change(target.id, { set, by: 'test', facts })
    }
    await change({ role: 'guest' })
    expect((await use(key, '/v1/jobs')).statusCode).toBe(403)
    expect((await use(key)).statusCode).toBe(200)
    await change({ role: 'department_member', state: 'Disabled' })
    expect((await use(key)).statusCode).toBe(401)
  })
})

test('one person has at most fifty good keys, also when they are made at once', async () => {
  const first = await made('noor')
  const row = await keys().findOne({ _id: first.id })
  if (row === null) throw new Error('the key is not there')
  const copies = Array.from({ length: limit - 4 }, (_, index) => ({
    ...row,
    _id: `${row._id.slice(0, 23)}${String(index).padStart(3, '0')}`,
    expiresMs: null,
  }))
  await keys().insertMany([
    ...copies,
    { ...row, _id: 'expired', expiresMs: Date.now() - 1 },
    { ...row, _id: 'revoked', revokedMs: Date.now() - 1 },
  ])
  const answers = await Promise.all(Array.from({ length: 8 }, async () => await create('noor')))
  const statuses = new Set(answers.map(({ statusCode }) => statusCode))
  expect([...statuses].filter((status) => status !== 201 && status !== 409)).toEqual([])
  const live = { userId: row.userId, revokedMs: null, expiresMs: null }
  expect(await keys().countDocuments(live)).toBeLessThanOrEqual(limit)
  for (let left = limit - (await keys().countDocuments(live)); left > 0; left -= 1) {
    await made('noor')
  }
  const refused = await create('noor')
  expect(refused.json()).toMatchObject({ status: 409, code: 'api_key.limit', limit })
  await api.call({ method: 'DELETE', url: `/v1/api-keys/${first.id}`, as: 'noor' })
  expect((await create('noor')).statusCode).toBe(201)
})

test('expired keys, however many, neither hide a good one nor make room for more', async () => {
  const { id } = await made('lead')
  const row = await keys().findOne({ _id: id })
  if (row === null) throw new Error('the key is not there')
  const copiesOf = (count: number, prefix: string, expiresMs: number | null) =>
    Array.from({ length: count }, (_, index) => ({
      ...row,
      _id: `${prefix}${String(index).padStart(25, '0')}`,
      expiresMs,
    }))
  const expired = copiesOf(1001, '0', Date.now() - 1)
  await keys().insertMany([...expired, ...copiesOf(limit - 1, 'z', null)])
  expect((await create('lead')).json()).toMatchObject({ code: 'api_key.limit' })
  const listed: string[] = []
  for (let cursor = '', page = 0; page < 20; page += 1) {
    const answer = await api.call({ url: `/v1/api-keys?limit=100${cursor}`, as: 'lead' })
    const { items, next } = apiKeyPage.parse(answer.json())
    listed.push(...items.map((item) => item.id))
    if (next === null) break
    cursor = `&cursor=${next}`
  }
  expect(listed).toHaveLength(1001 + limit)
  expect(new Set(listed).size).toBe(1001 + limit)
})

test('dead keys are taken away after thirty days', async () => {
  const { id } = await made('root')
  const old = await made('root')
  const dayMs = 86_400_000
  await keys().updateOne({ _id: id }, { $set: { revokedMs: Date.now() - 29 * dayMs } })
  await keys().updateOne({ _id: old.id }, { $set: { expiresMs: Date.now() - 31 * dayMs } })
  await api.api.leaderTasks.find(({ name }) => name === 'remove-api-keys')?.run()
  expect(await keys().findOne({ _id: id })).not.toBeNull()
  expect(await keys().findOne({ _id: old.id })).toBeNull()
})
