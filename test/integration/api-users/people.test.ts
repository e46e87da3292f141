import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { permissionsOf } from '../../../src/shared/domain/permissions.ts'
import { personPage, personView, profileView } from '../../../src/shared/wire/users.ts'
import { type Person, roleOf, startApi, type TestApi } from '../api-http/harness.ts'
import { type Newcomers, openNewcomers, password } from './newcomers.ts'

let api: TestApi
let newcomers: Newcomers

beforeAll(async () => {
  api = await startApi()
  newcomers = await openNewcomers(api)
})
afterAll(async () => await api.close())

describe('the own profile', () => {
  it.each(['root', 'lead', 'mina', 'gast'] as const)('tells %s what they may do', async (who) => {
    const response = await api.call({ url: '/v1/users/me', as: who })
    const profile = profileView.parse(response.json())
    expect(profile.permissions).toEqual(permissionsOf(roleOf(who)))
    expect(profile).toMatchObject({
      state: 'Active',
      hasPassword: true,
      membership: { tier: 'Free', expiresTime: null, effectiveTier: 'Free' },
    })
    expect(response.body).not.toContain('argon2')
  })

  it('changes name and language, and the audit log says so', async () => {
    const person = await newcomers.create('guest')
    const { accessToken } = await newcomers.signIn(person.email)
    const headers = { authorization: `Bearer ${accessToken}` }
    const body = { name: '  김노바 ', language: 'en' }
    const response = await api.call({ method: 'PATCH', url: '/v1/users/me', headers, body })
    expect(response.json()).toMatchObject({ name: '김노바', language: 'en' })
    expect((await newcomers.auditOf(person)).at(-1)).toEqual({
      action: 'user.profile_changed',
      by: person._id,
      before: { name: '***', language: 'ko' },
      after: { name: '***', language: 'en' },
    })
  })

  it.each([
    { role: 'super_admin' },
    { department: 'research' },
    { membership: { tier: 'Premium', expiresTime: null } },
    { state: 'Active' },
    { email: 'other@people.example' },
    { name: '' },
    { name: 'x'.repeat(129) },
    { name: 'Evil\u202eName' },
    { name: { $gt: '' } },
    { language: 'fr' },
  ])('refuses %j and changes nothing', async (body) => {
    const before = await api.call({ url: '/v1/users/me', as: 'noor' })
    const response = await api.call({ method: 'PATCH', url: '/v1/users/me', as: 'noor', body })
    expect(response.statusCode).toBe(400)
    const after = await api.call({ url: '/v1/users/me', as: 'noor' })
    expect(after.json()).toEqual(before.json())
  })
})

describe('an API key', () => {
  it('says what it may do, and changes neither profile nor password', async () => {
    const person = await newcomers.create('department_member')
    const { accessToken } = await newcomers.signIn(person.email)
    const key = await newcomers.createKey(accessToken, ['users.read_self', 'jobs.read'])
    const headers = { authorization: `Bearer ${key}` }
    const profile = await api.call({ url: '/v1/users/me', headers })
    expect(profile.json()).toMatchObject({ permissions: ['users.read_self', 'jobs.read'] })
    const body = { name: 'Key' }
    const renamed = await api.call({ method: 'PATCH', url: '/v1/users/me', headers, body })
    expect(renamed.statusCode).toBe(403)
    const words = { currentPassword: password, newPassword: 'six small boats at low tide' }
    expect((await putPassword(key, words)).statusCode).toBe(403)
  })
})

describe('the own password', () => {
  const next = 'four green kettles sing at dawn'
  it('changes, signs out everywhere else and is told by mail', async () => {
    const person = await newcomers.create('department_member')
    const here = await newcomers.signIn(person.email)
    const there = await newcomers.signIn(person.email)
    const body = { currentPassword: password, newPassword: next }
    expect((await putPassword(here.accessToken, body)).statusCode).toBe(204)
    expect(await newcomers.statusOf('/v1/users/me', here.accessToken)).toBe(200)
    expect(await newcomers.statusOf('/v1/users/me', there.accessToken)).toBe(401)
    await newcomers.signIn(person.email, next)
    await expect(newcomers.signIn(person.email)).rejects.toThrow('auth.invalid_credentials')
    await api.mailTo(person.email)
    expect(await newcomers.actionsOn(person)).toEqual(['user.created', 'user.password_changed'])
    expect((await newcomers.find(person)).errands).toEqual([])
  })

  it('stays when the current one is wrong or the new one is easy to guess', async () => {
    const person = await newcomers.create('department_member')
    const { accessToken } = await newcomers.signIn(person.email)
    const wrong = await putPassword(accessToken, { currentPassword: next, newPassword: next })
    expect(wrong.json()).toMatchObject({ status: 401, code: 'auth.invalid_credentials' })
    for (const newPassword of ['password123', 'short', 'Nova Newcomer 1']) {
      const weak = await putPassword(accessToken, { currentPassword: password, newPassword })
      expect(weak.json()).toMatchObject({ status: 400, errors: [{ path: '/newPassword' }] })
    }
    await newcomers.signIn(person.email)
  })

  it('changes once when two change it at the same moment', async () => {
    const person = await newcomers.create('department_member')
    const { accessToken } = await newcomers.signIn(person.email)
    const wishes = [`${next} one`, `${next} two`]
    const answers = await Promise.all(
      wishes.map((newPassword) =>
        putPassword(accessToken, { currentPassword: password, newPassword }),
      ),
    )
    expect(statusesOf(answers)).toEqual([204, 401])
  })
})

describe('the directory', () => {
  it('shows department admins their department and super admins everybody', async () => {
    const far = await newcomers.create('department_member', api.surroundings.research)
    const list = async (as: Person, query = '') => {
      const response = await api.call({ url: `/v1/users?limit=100${query}`, as })
      return personPage.parse(response.json()).items
    }
    const { quality, research } = api.surroundings
    expect(new Set((await list('lead')).map(({ department }) => department))).toEqual(
      new Set([quality]),
    )
    expect(await list('lead', `&department=${research}`)).toEqual([])
    expect((await list('root')).map(({ id }) => id)).toContain(far._id)
    const filtered = await list('root', `&department=${research}&role=department_member`)
    expect(filtered.every(({ role }) => role === 'department_member')).toBe(true)
    expect(filtered.map(({ id }) => id)).toContain(far._id)
    for (const who of ['mina', 'gast'] as const) {
      expect((await api.call({ url: '/v1/users', as: who })).statusCode).toBe(403)
    }
  })

  it('comes in pages that miss nobody', async () => {
    const seen: string[] = []
    for (let cursor = '', page = 0; page < 50; page += 1) {
      const response = await api.call({ url: `/v1/users?limit=2${cursor}`, as: 'root' })
      const { items, next } = personPage.parse(response.json())
      seen.push(...items.map(({ id }) => id))
      if (next === null) break
      cursor = `&cursor=${next}`
    }
    const all = await api.call({ url: '/v1/users?limit=100', as: 'root' })
    expect(seen).toEqual(personPage.parse(all.json()).items.map(({ id }) => id))
    const bad = await api.call({ url: '/v1/users?cursor=abc', as: 'root' })
    expect(bad.statusCode).toBe(400)
  })

  it('does not tell admins of other departments that somebody is there', async () => {
    const far = await newcomers.create('guest', api.surroundings.research)
    const there = await newcomers.act('lead', far._id, { method: 'GET' })
    const nowhere = await newcomers.act('lead', 'u-nobody', { method: 'GET' })
    expect(there.statusCode).toBe(404)
    expect({ ...there.json(), instance: '' }).toEqual({ ...nowhere.json(), instance: '' })
    expect(
      personView.parse((await newcomers.act('root', far._id, { method: 'GET' })).json()).id,
    ).toBe(far._id)
  })
})

describe('places and tiers', () => {
  it('moves an admin as a member unless told otherwise, and only to a department', async () => {
    const { quality, research } = api.surroundings
    const admin = await newcomers.create('department_admin')
    const put = async (body: unknown) =>
      await newcomers.act('root', `${admin._id}/department`, { method: 'PUT', body: body })
    expect((await put({ department: 'nowhere' })).json()).toMatchObject({
      code: 'department.not_found',
    })
    expect((await put({ department: research })).json()).toMatchObject({
      department: research,
      role: 'department_member',
    })
    await newcomers.act('root', `${admin._id}/role`, {
      method: 'PUT',
      body: { role: 'department_admin' },
    })
    expect((await put({ department: quality, keepRole: true })).json()).toMatchObject({
      department: quality,
      role: 'department_admin',
    })
    expect(await newcomers.actionsOn(admin)).toEqual([
      'user.created',
      'user.moved',
      'user.role_changed',
      'user.moved',
    ])
  })

  it('counts a new role at once', async () => {
    const person = await newcomers.create('department_member')
    const { accessToken } = await newcomers.signIn(person.email)
    expect(await newcomers.statusOf('/v1/users', accessToken)).toBe(403)
    await newcomers.act('root', `${person._id}/role`, {
      method: 'PUT',
      body: { role: 'department_admin' },
    })
    expect(await newcomers.statusOf('/v1/users', accessToken)).toBe(200)
    await newcomers.act('root', `${person._id}/role`, {
      method: 'PUT',
      body: { role: 'department_member' },
    })
    expect(await newcomers.statusOf('/v1/users', accessToken)).toBe(403)
  })

  it('sets a tier until a moment that lies ahead', async () => {
    const person = await newcomers.create('department_member')
    const put = async (body: unknown) =>
      await newcomers.act('root', `${person._id}/membership`, { method: 'PUT', body: body })
    const expiresTime = new Date(Date.now() + 3_600_000).toISOString()
    expect((await put({ tier: 'Premium', expiresTime })).json()).toMatchObject({
      membership: { tier: 'Premium', expiresTime, effectiveTier: 'Premium' },
    })
    const past = await put({ tier: 'Standard', expiresTime: '2020-01-01T00:00:00Z' })
    expect(past.json()).toMatchObject({ status: 400, errors: [{ path: '/expiresTime' }] })
    for (const body of [{ tier: 'Gold', expiresTime: null }, { tier: 'Free' }, {}]) {
      expect((await put(body)).statusCode).toBe(400)
    }
  })

  it('makes no guests and no unknown roles', async () => {
    const person = await newcomers.create('department_member')
    const guest = await newcomers.create('guest')
    const put = async (id: string, role: unknown) =>
      (await newcomers.act('root', `${id}/role`, { method: 'PUT', body: { role } })).statusCode
    expect(await put(person._id, 'guest')).toBe(400)
    expect(await put(person._id, 'owner')).toBe(400)
    expect(await put(person._id, { $ne: '' })).toBe(400)
    expect(await put(guest._id, 'department_admin')).toBe(409)
  })
})

async function putPassword(token: string, body: unknown) {
  const headers = { authorization: `Bearer ${token}` }
  return await api.call({ method: 'PUT', url: '/v1/users/me/password', headers, body })
}

function statusesOf(answers: readonly { readonly statusCode: number }[]): readonly number[] {
  return answers.map(({ statusCode }) => statusCode).toSorted((left, right) => left - right)
}
