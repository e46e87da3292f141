import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RouteFact } from '../../../src/api/plugins/route-config.ts'
import { startApi, type TestApi } from './harness.ts'

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

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
const methodOf = ({ method }: RouteFact): Method =>
  (['POST', 'PUT', 'PATCH', 'DELETE'] as const).find((one) => one === method) ?? 'GET'

/** Who may do what is in `matrix.test.ts`. */
describe('every route', () => {
  test('has a known method, a permission, and only these are open to everybody', () => {
    const { routes } = api.api
    expect(routes.map(methodOf)).toEqual(routes.map(({ method }) => method))
    const open = routes.filter(({ permission }) => permission === 'Public')
    expect(new Set(open.map(({ method, url }) => `${method} ${url}`))).toEqual(
      new Set([
        'GET /openapi.json',
        'GET /docs',
        'GET /docs/',
        'GET /docs/js/scalar.js',
        'POST /v1/sessions',
        'POST /v1/sessions/refresh',
        'GET /v1/sso/issuers',
        'POST /v1/sessions/sso',
        'GET /.well-known/jwks.json',
        'GET /v1/sign-ups/departments',
        'POST /v1/sign-ups/codes',
        'POST /v1/sign-ups',
        'POST /v1/password-resets/codes',
        'POST /v1/password-resets',
        'POST /v1/invites/accept',
        'GET /v1/ws',
        'GET /v1/objects/*',
      ]),
    )
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

  test('is accepted whatever the case of its scheme', async () => {
    const token = await api.tokenOf('mina')
    expect((await me(`bearer ${token}`)).statusCode).toBe(200)
  })
})

describe('the audit', () => {
  test('tells a super admin that nothing is amiss', async () => {
    const response = await api.call({ url: '/v1/system/audit', as: 'root' })
    expect(response.statusCode).toBe(200)
    expect(response.json()).toMatchObject({ checked: { accounts: expect.any(Number) } })
  })
})
