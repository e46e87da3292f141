import type { LightMyRequestResponse } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canaryPassword } from '../../support/canary.ts'
import { publicUrl, startApi, type TestApi } from './harness.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

const names = { access: '__Host-atelier-access', refresh: '__Host-atelier-refresh' }
const own = { 'sec-fetch-site': 'same-origin' }
const url = '/v1/sessions/refresh'

const signIn = async () => {
  const email = api.emailOf('mina')
  const body = { email, password: canaryPassword, transport: 'Cookie' }
  const answer = await api.call({ method: 'POST', url: '/v1/sessions', body })
  expect(answer.statusCode).toBe(201)
  return answer
}
/** What a browser would send next. */
const jarOf = (answer: LightMyRequestResponse): string =>
  answer.cookies.map(({ name, value }) => `${name}=${value}`).join('; ')
const valueOf = (answer: LightMyRequestResponse, name: string): string =>
  answer.cookies.find((cookie) => cookie.name === name)?.value ?? ''

describe('a session in cookies', () => {
  test('has them for this host, for HTTP and for our own pages only', async () => {
    const answer = await signIn()
    expect(answer.json()).toMatchObject({ accessToken: null, refreshToken: null, expiresIn: 3600 })
    const shared = { httpOnly: true, secure: true, sameSite: 'Strict', path: '/' }
    expect(answer.cookies).toEqual([
      { ...shared, name: names.access, value: expect.stringMatching(/^ey/), maxAge: 3600 },
      {
        ...shared,
        name: names.refresh,
        value: expect.stringMatching(/^atr_/),
        maxAge: expect.any(Number),
      },
    ])
    const weekSeconds = Number(answer.cookies[1]?.maxAge)
    expect(Math.round(weekSeconds / 60)).toBe(7 * 24 * 60)
    expect(answer.body).not.toContain(valueOf(answer, names.refresh))
  })

  test('reads, writes, refreshes and signs out without any header of a script', async () => {
    const first = await signIn()
    const cookie = jarOf(first)
    expect((await api.call({ url: '/v1/users/me', headers: { cookie } })).statusCode).toBe(200)
    const renewed = await api.call({ method: 'POST', url, body: {}, headers: { cookie, ...own } })
    expect(renewed.statusCode).toBe(201)
    expect(renewed.json()).toMatchObject({ accessToken: null, refreshToken: null })
    expect(valueOf(renewed, names.refresh)).not.toBe(valueOf(first, names.refresh))
    const out = await api.call({
      method: 'DELETE',
      url: '/v1/sessions/current',
      headers: { cookie: jarOf(renewed), ...own },
    })
    expect(out.statusCode).toBe(204)
    const cleared = out.cookies.map(({ name, value, path, secure }) => [name, value, path, secure])
    expect(cleared).toEqual([
      [names.access, '', '/', true],
      [names.refresh, '', '/', true],
    ])
    const headers = { cookie: jarOf(renewed) }
    expect((await api.call({ url: '/v1/users/me', headers })).statusCode).toBe(401)
  })

  test('that was refreshed twice with one token ends', async () => {
    const headers = { cookie: jarOf(await signIn()), ...own }
    expect((await api.call({ method: 'POST', url, body: {}, headers })).statusCode).toBe(201)
    const again = await api.call({ method: 'POST', url, body: {}, headers })
    expect(again.json()).toMatchObject({ status: 401, code: 'auth.refresh_reused' })
  })

  test('gives way to an Authorization header, also to one that is wrong', async () => {
    const cookie = jarOf(await signIn())
    const authorization = `Bearer ${await api.tokenOf('sam')}`
    const answer = await api.call({ url: '/v1/users/me', headers: { cookie, authorization } })
    expect(answer.json()).toMatchObject({ name: 'sam' })
    const wrong = { cookie, authorization: 'Bearer nothing' }
    expect((await api.call({ url: '/v1/users/me', headers: wrong })).statusCode).toBe(401)
  })

  test.each([
    ['nothing in it', ''],
    ['no token', 'x'],
    ['more than a token', 'a'.repeat(5000)],
    ['broken escapes', '%E0%A4%A'],
  ])('with %s is none', async (_name, value) => {
    const headers = { cookie: `${names.access}=${value}` }
    expect((await api.call({ url: '/v1/users/me', headers })).statusCode).toBe(401)
  })

  test('does not take a refresh token from another cookie or as access', async () => {
    const answer = await signIn()
    const stray = `${names.access}=${valueOf(answer, names.refresh)}`
    expect((await api.call({ url: '/v1/users/me', headers: { cookie: stray } })).statusCode).toBe(
      401,
    )
  })
})

const ownOrigin = new URL(publicUrl).origin
const sites = [undefined, 'same-origin', 'same-site', 'cross-site', 'none'] as const
const origins = [undefined, ownOrigin, 'https://evil.example', 'null', `${ownOrigin}.evil.example`]

/** What the browser says about where a request comes from, and whether a write may follow it. */
const cases = sites.flatMap((site) =>
  origins.map((origin) => ({
    headers: {
      ...(site !== undefined && { 'sec-fetch-site': site }),
      ...(origin !== undefined && { origin }),
    },
    isOwn: site === undefined ? origin === ownOrigin : site === 'same-origin',
  })),
)

/** Each gets past the guard to an answer that changes nothing, so that the session lives on. */
const writes = [
  { method: 'DELETE', url: '/v1/sessions/01jd6z0c5m8k2v3n4p5q6r7s8t', passed: 404 },
  { method: 'POST', url: '/v1/jobs', body: {}, passed: 400 },
  { method: 'GET', url: '/v1/users/me', upgrade: 'websocket', passed: 200 },
] as const

describe('a request with cookies', () => {
  test.each(writes)('$method $url passes from our own pages only', async (write) => {
    const cookie = jarOf(await signIn())
    const upgrade: Record<string, string> = 'upgrade' in write ? { upgrade: write.upgrade } : {}
    for (const { headers, isOwn } of cases) {
      const answer = await api.call({ ...write, headers: { cookie, ...upgrade, ...headers } })
      const isRefused = answer.statusCode === 403 && answer.json().code === 'auth.cross_site'
      const outcome = isRefused ? 'refused' : answer.statusCode
      expect([headers, outcome]).toEqual([headers, isOwn ? write.passed : 'refused'])
    }
  })

  test('that only reads passes from everywhere: nobody else can see the answer', async () => {
    const cookie = jarOf(await signIn())
    for (const { headers } of cases) {
      const answer = await api.call({ url: '/v1/users/me', headers: { cookie, ...headers } })
      expect([headers, answer.statusCode]).toEqual([headers, 200])
      expect(answer.headers['access-control-allow-origin']).toBeUndefined()
      expect(answer.headers['access-control-allow-credentials']).toBeUndefined()
    }
  })

  test('to refresh passes from our own pages only, and else leaves the session alone', async () => {
    const first = await signIn()
    const cookie = `${names.refresh}=${valueOf(first, names.refresh)}`
    for (const { headers } of cases.filter(({ isOwn }) => !isOwn)) {
      const answer = await api.call({
        method: 'POST',
        url,
        body: {},
        headers: { cookie, ...headers },
      })
      expect([headers, answer.json().code]).toEqual([headers, 'auth.cross_site'])
    }
    const origin = ownOrigin
    const answer = await api.call({ method: 'POST', url, body: {}, headers: { cookie, origin } })
    expect(answer.statusCode).toBe(201)
  })

  test('and a bearer token is no matter of sites', async () => {
    const authorization = `Bearer ${await api.tokenOf('mina')}`
    const headers = { authorization, 'sec-fetch-site': 'cross-site', cookie: jarOf(await signIn()) }
    const answer = await api.call({ ...writes[0], headers })
    expect(answer.statusCode).toBe(404)
  })
})
