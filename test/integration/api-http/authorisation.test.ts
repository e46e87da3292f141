import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RouteFact } from '../../../src/api/plugins/route-config.ts'
import { isAllowed } from '../../../src/shared/domain/permissions.ts'
import { everybody, roleOf, startApi, type TestApi } from './harness.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

/** A request that gets past the address, so that the answer is about the caller. */
const addressOf = ({ url }: RouteFact): string =>
  url.replace(':id', '01jd6z0c5m8k2v3n4p5q6r7s8t').replace(':name', 'nothing').replace('*', 'x')

type Method = 'GET' | 'POST' | 'DELETE'
const methodOf = ({ method }: RouteFact): Method =>
  (['POST', 'DELETE'] as const).find((one) => one === method) ?? 'GET'

const send = async (route: RouteFact, headers: Record<string, string> = {}) =>
  await api.call({ method: methodOf(route), url: addressOf(route), headers })

describe('every route', () => {
  test('is GET, POST or DELETE, has a permission, and only these are open to everybody', () => {
    const { routes } = api.api
    expect(routes.map(methodOf)).toEqual(routes.map(({ method }) => method))
    const open = routes.filter(({ permission }) => permission === 'Public')
    expect(open.map(({ method, url }) => `${method} ${url}`)).toEqual([
      'GET /openapi.json',
      'GET /docs',
      'GET /docs/',
      'GET /docs/js/scalar.js',
      'POST /v1/sessions',
      'GET /v1/objects/*',
    ])
  })

  test('answers 401 without a token and says how to sign in', async () => {
    for (const route of api.api.routes.filter(({ permission }) => permission !== 'Public')) {
      const response = await send(route)
      expect([route.url, response.json().code]).toEqual([route.url, 'auth.required'])
      expect(response.headers['www-authenticate']).toBe('Bearer')
    }
  })

  test.each(everybody)('lets %s do what the matrix says and nothing else', async (person) => {
    for (const route of api.api.routes) {
      const { permission } = route
      if (permission === 'Public') continue
      const authorization = `Bearer ${await api.tokenOf(person)}`
      const { statusCode } = await send(route, { authorization })
      const isForbidden = statusCode === 403
      expect([route.url, isForbidden]).toEqual([route.url, !isAllowed(roleOf(person), permission)])
      expect([route.url, statusCode]).not.toEqual([route.url, 401])
    }
  })

  test('answers 405 with Allow to a method that it does not know', async () => {
    for (const [url, routes] of Map.groupBy(api.api.routes, addressOf)) {
      const known = routes.map(methodOf)
      const unknown = (['PUT', 'DELETE', 'PATCH'] as const).filter(
        (one) => !known.some((k) => k === one),
      )
      for (const method of unknown) {
        const response = await api.call({ method, url, body: '{"broken' })
        expect([url, response.statusCode]).toEqual([url, 405])
        expect(response.headers['allow']).toBe([...new Set(known)].toSorted().join(', '))
      }
    }
  })

  test('has security headers, a request id and no word for other sites', async () => {
    for (const route of [...api.api.routes, { ...api.api.routes[0], url: '/nothing' }]) {
      if (route.permission === undefined || route.method === undefined) continue
      const { headers } = await api.call({
        url: route.url ?? '/',
        headers: { origin: 'https://evil.example' },
      })
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'content-security-policy': expect.stringContaining("default-src 'none'"),
        'x-request-id': expect.stringMatching(/^[0-9a-z]{26}$/),
      })
      expect(headers['access-control-allow-origin']).toBeUndefined()
    }
  })
})

const me = async (authorization: string) =>
  await api.call({ url: '/v1/users/me', headers: { authorization } })

describe('a token', () => {
  test.each(['Basic bWluYTp4', 'Bearer', 'Bearer ', 'Bearer a b', `Bearer ${'a'.repeat(5000)}`])(
    'in the form %j is refused',
    async (authorization) => {
      expect((await me(authorization)).json()).toMatchObject({
        status: 401,
        code: 'auth.invalid_token',
      })
    },
  )

  test('signed with a stranger’s HMAC over the public key is refused', async () => {
    const secret = Buffer.from(api.tokenKey.x ?? '', 'base64url')
    const token = await new SignJWT({ sub: 'u-1' })
      .setProtectedHeader({ alg: 'HS256', typ: 'at+jwt' })
      .sign(secret)
    expect((await me(`Bearer ${token}`)).statusCode).toBe(401)
  })

  test('is accepted whatever the case of its scheme', async () => {
    const token = await api.tokenOf('mina')
    expect((await me(`bearer ${token}`)).statusCode).toBe(200)
  })

  test('of somebody who is gone is refused once that is noticed', async () => {
    const token = await api.tokenOf('noor')
    const users = api.core.database.native.collection('users')
    await users.deleteOne({ email: api.emailOf('noor') })
    const response = await me(`Bearer ${token}`)
    expect(response.json()).toMatchObject({ status: 401, code: 'auth.invalid_token' })
  })
})

describe('the audit', () => {
  test('tells a super admin that nothing is amiss', async () => {
    const response = await api.call({ url: '/v1/system/audit', as: 'root' })
    expect(response.statusCode).toBe(200)
    expect(response.json()).toMatchObject({ checked: { accounts: expect.any(Number) } })
  })
})
