import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import type { LightMyRequestResponse } from 'fastify'
import { encode } from 'fast-png'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { RouteFact } from '../../../src/api/plugins/route-config.ts'
import { startApi, type TestApi } from './harness.ts'

const friend = 'https://console.example'
const foreigner = 'https://evil.example'

/** Every header that says what browsers and caches may do with an answer. */
const names = [
  'access-control-allow-credentials',
  'access-control-allow-headers',
  'access-control-allow-methods',
  'access-control-allow-origin',
  'access-control-expose-headers',
  'access-control-max-age',
  'cache-control',
  'content-security-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'permissions-policy',
  'referrer-policy',
  'server',
  'strict-transport-security',
  'vary',
  'x-content-type-options',
  'x-frame-options',
  'x-powered-by',
] as const
type Headers = Partial<Record<(typeof names)[number], string>>

const always: Headers = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), microphone=(), geolocation=()',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
}
const overHttps: Headers = { 'strict-transport-security': 'max-age=31536000; includeSubDomains' }
const withFriends: Headers = { vary: 'Origin' }
const toFriend: Headers = {
  'access-control-allow-origin': friend,
  'access-control-expose-headers':
    'allow, content-disposition, etag, idempotency-replayed, location, preference-applied, ' +
    'ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, www-authenticate, ' +
    'x-request-id',
}
const preflightOfFriend: Headers = {
  ...toFriend,
  'access-control-allow-headers':
    'authorization, content-type, idempotency-key, if-match, last-event-id, prefer',
  'access-control-allow-methods': 'GET, POST, PUT, PATCH, DELETE',
  'access-control-max-age': '600',
}
const docsPolicy =
  /^default-src 'none'; script-src 'self'( 'sha256-[\w+/]{43}=')+; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/

/** What good answers say instead, by path. */
const exceptions: Readonly<Record<string, Headers>> = {
  '/docs/': { 'content-security-policy': expect.stringMatching(docsPolicy) },
  '/.well-known/jwks.json': { 'cache-control': 'public, max-age=300' },
  '/docs/js/scalar.js': { 'cache-control': 'public, max-age=3600' },
}

type Site = { readonly title: string; readonly publicUrl: string; readonly corsOrigins: string[] }
const sites: readonly Site[] = [
  { title: 'over http, for no other site', publicUrl: 'http://api.test', corsOrigins: [] },
  { title: 'over https, for one site', publicUrl: 'https://api.test', corsOrigins: [friend] },
]

describe.each(sites)('headers $title', ({ publicUrl, corsOrigins }) => {
  let api: TestApi
  beforeAll(async () => {
    api = await startApi({ publicUrl, corsOrigins })
  })
  afterAll(async () => {
    await api.close()
  })

  const expected = (more: Headers = {}): Headers => ({
    ...always,
    ...(publicUrl.startsWith('https:') && overHttps),
    ...(corsOrigins.length > 0 && withFriends),
    ...more,
  })
  const friendly = (headers: Headers): Headers => (corsOrigins.length > 0 ? headers : {})
  const send = async (route: RouteFact, headers: Record<string, string> = {}) =>
    await api.call({ method: methodOf(route), url: addressOf(route), headers })
  const authorized = async () => ({ authorization: `Bearer ${await api.tokenOf('root')}` })

  test('are on the answer of every route, good or 401', async () => {
    for (const route of api.api.routes) {
      const response = await send(route)
      const isGood = response.statusCode < 300
      expect(at(route, response)).toEqual(at(route, expected(isGood ? exceptions[route.url] : {})))
      expect(response.headers['x-request-id']).toMatch(/^[0-9a-z]{26}$/)
    }
  })

  test('are on the answer of every route to a super admin', async () => {
    for (const route of api.api.routes) {
      if (route.permission === 'Public' || route.method === 'DELETE') continue
      const response = await send(route, await authorized())
      expect(at(route, response)).toEqual(at(route, expected()))
    }
  })

  test('tell the scripts of an allowed site that they may read', async () => {
    for (const route of api.api.routes) {
      const response = await send(route, { origin: friend })
      const isGood = response.statusCode < 300
      const headers = { ...(isGood ? exceptions[route.url] : {}), ...friendly(toFriend) }
      expect(at(route, response)).toEqual(at(route, expected(headers)))
    }
  })

  test('tell the scripts of other sites nothing', async () => {
    for (const route of api.api.routes) {
      for (const origin of [foreigner, 'null', `${friend}.evil.example`, `${friend}:8443`]) {
        const response = await send(route, { origin })
        const isGood = response.statusCode < 300
        const headers = expected(isGood ? exceptions[route.url] : {})
        expect(at(route, response)).toEqual(at(route, headers))
      }
    }
  })

  test('answer preflights of an allowed site with 204, those of others with 405', async () => {
    for (const route of api.api.routes) {
      const preflight = async (origin: string) =>
        await api.api.app.inject({
          method: 'OPTIONS',
          url: addressOf(route),
          headers: { origin, 'access-control-request-method': route.method },
        })
      const ours = await preflight(friend)
      expect([route.url, ours.statusCode]).toEqual([route.url, corsOrigins.length > 0 ? 204 : 405])
      expect(at(route, ours)).toEqual(at(route, expected(friendly(preflightOfFriend))))
      const theirs = await preflight(foreigner)
      expect([route.url, theirs.statusCode]).toEqual([route.url, 405])
      expect(at(route, theirs)).toEqual(at(route, expected()))
    }
  })

  test('are on 405, 404 and refused addresses', async () => {
    for (const url of new Set(api.api.routes.map(addressOf))) {
      const response = await api.api.app.inject({ method: 'OPTIONS', url })
      expect(at({ url }, response)).toEqual(at({ url }, expected()))
      expect(response.statusCode).toBe(405)
    }
    for (const url of ['/nothing', '/v1/nothing/here', '/v1/jobs/%zz', '/v1/jobs/%ed%a0%80']) {
      const response = await api.call({ url })
      // What cannot be decoded is no request yet, so no hook has seen it.
      const more: Headers = url.includes('%') ? { vary: undefined } : {}
      expect(at({ url }, response)).toEqual(at({ url }, { ...expected(), ...more }))
      expect([400, 404]).toContain(response.statusCode)
    }
  })

  test('are on 413 and 415', async () => {
    for (const route of api.api.routes) {
      if (!['POST', 'PUT', 'PATCH'].includes(route.method)) continue
      const headers = route.permission === 'Public' ? {} : await authorized()
      const body = `{"name":"${'x'.repeat(300_000)}"}`
      const response = await api.call({
        method: methodOf(route),
        url: addressOf(route),
        headers: { 'content-type': 'application/json', ...headers },
        body,
      })
      expect([route.url, [413, 415].includes(response.statusCode)]).toEqual([route.url, true])
      expect(at(route, response)).toEqual(at(route, expected()))
    }
  })

  test('are on bytes that are not HTTP', async () => {
    const { port, hostname } = new URL(await api.api.app.listen({ host: '127.0.0.1', port: 0 }))
    const socket = connect(Number(port), hostname)
    await once(socket, 'connect')
    socket.write('hello\r\n\r\n')
    const [head = ''] = (await text(socket)).split('\r\n\r\n')
    const lines = head.split('\r\n').slice(1)
    const headers = Object.fromEntries(lines.map((line) => line.split(/: (.*)/s).slice(0, 2)))
    // Written before there is a request, for nobody's script.
    expect(pick(headers)).toEqual(pick({ ...expected(), vary: undefined }))
  })

  test('keep an uploaded picture from running, and let it be cached', async () => {
    const pixels = { width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) } as const
    const body = Buffer.from(encode(pixels))
    const headers = { 'content-type': 'image/png', ...(await authorized()) }
    const upload = await api.call({ method: 'POST', url: '/v1/artifacts', body, headers })
    const { url } = z.looseObject({ url: z.string() }).parse(upload.json())
    const { pathname, search } = new URL(url)
    const response = await api.call({ url: `${pathname}${search}` })
    expect(response.statusCode).toBe(200)
    expect(pick(response.headers)).toEqual(
      expected({
        'cache-control': 'private, max-age=31536000, immutable',
        'content-security-policy': "default-src 'none'; sandbox; frame-ancestors 'none'",
      }),
    )
  })
})

/** A request that gets past the address. */
function addressOf({ url }: Pick<RouteFact, 'url'>): string {
  return url.replaceAll(/:\w+/g, '01jd6z0c5m8k2v3n4p5q6r7s8t').replace('*', 'x')
}

function methodOf({ method }: RouteFact) {
  return z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']).parse(method)
}

/** The compared headers with the route that sent them, so that a failure names it. */
function at(
  { method, url }: Pick<RouteFact, 'url'> & Partial<RouteFact>,
  from: Headers | LightMyRequestResponse,
) {
  const headers = 'statusCode' in from ? from.headers : from
  return { route: `${method ?? ''} ${url}`, ...pick(headers) }
}

function pick(headers: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const present = names.filter((name) => headers[name] !== undefined)
  return Object.fromEntries(present.map((name) => [name, headers[name]]))
}
