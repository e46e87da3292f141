import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { badTokenLimit, rateLimits } from '../../../src/api/plugins/rate-classes.ts'
import {
  openSignInAttempts,
  type SignInAttempts,
  signInLimits,
} from '../../../src/api/features/sessions/sign-in-attempts.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { type Counters, openCounters } from '../../../src/platform/redis/counters.ts'
import { createSeal } from '../../../src/platform/seal/seal.ts'
import { isAppError } from '../../../src/shared/errors.ts'
import { testEnvironment } from '../../support/environment.ts'
import { medianOf } from '../../perf/print.ts'
import { eventually } from '../../support/eventually.ts'
import { canaryPassword } from '../../support/canary.ts'
import { type Person, startApi, type TestApi } from './harness.ts'
import { openTcpProxy, type TcpProxy } from './http-client.ts'

let api: TestApi
let redis: TcpProxy
beforeAll(async () => {
  redis = await openTcpProxy(testEnvironment().redisUrl)
  api = await startApi({
    redisUrl: `redis://127.0.0.1:${redis.port}`,
    rateLimits: true,
    trustedProxies: ['127.0.0.1'],
  })
})
afterAll(async () => {
  redis.restore()
  await api.close()
  await redis.close()
})

/** As if it came from this address. */
const from = (ip: string) => ({ 'x-forwarded-for': ip })

const signIn = async (person: Person, ip: string, password = 'wrong') =>
  await api.call({
    method: 'POST',
    url: '/v1/sessions',
    headers: from(ip),
    body: { email: api.emailOf(person), password },
  })

const right = canaryPassword

const refreshCookieOf = async (person: Person, ip: string): Promise<string> => {
  const body = { email: api.emailOf(person), password: right, transport: 'Cookie' }
  const answer = await api.call({ method: 'POST', url: '/v1/sessions', headers: from(ip), body })
  const cookie = answer.cookies.find(({ name }) => name === '__Host-atelier-refresh')
  return `${cookie?.name}=${cookie?.value}`
}

const exportLog = async (as: Person) =>
  await api.call({ url: '/v1/audit-log/export?from=2020-01-01T00:00:00Z', as })

async function times<Answer>(count: number, ask: () => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let index = 0; index < count; index += 1) answers.push(await ask())
  return answers
}

/** With the median, which a moment in which the machine stands still does not change. */
async function timed<Answer>(count: number, ask: () => Promise<Answer>) {
  const tookMs: number[] = []
  const answers = await times(count, async () => {
    const began = performance.now()
    const answer = await ask()
    tookMs.push(performance.now() - began)
    return answer
  })
  return { answers, medianMs: medianOf(tookMs) }
}

const refresh = async (ip: string) =>
  await api.call({
    method: 'POST',
    url: '/v1/sessions/refresh',
    headers: from(ip),
    body: { refreshToken: 'x' },
  })

const withToken = async (token: string, ip: string) =>
  await api.call({
    url: '/v1/users/me',
    headers: { ...from(ip), authorization: `Bearer ${token}` },
  })

const accepted = (answers: readonly boolean[]): number => answers.filter(Boolean).length

const exportAsRoot = async () => await exportLog('root')
const readMe = async () => await api.call({ url: '/v1/users/me', as: 'mina' })

describe('every answer', () => {
  test('says what fits into the window and what is left', async () => {
    const first = await api.call({ url: '/v1/users/me', as: 'mina' })
    const second = await api.call({ url: '/v1/jobs', as: 'mina' })
    const limit = String(rateLimits.Read.perUserMax)
    expect(first.headers).toMatchObject({ 'ratelimit-limit': limit })
    const left = Number(first.headers['ratelimit-remaining'])
    expect(Number(second.headers['ratelimit-remaining'])).toBe(left - 1)
    expect(Number(second.headers['ratelimit-reset'])).toBeGreaterThan(0)
  })
})

describe('a class of routes', () => {
  test('is refused one past its limit, to one person and not to others', async () => {
    const { perUserMax } = rateLimits.Export
    const answers = await times(perUserMax + 1, async () => await exportLog('lead'))
    const statuses = answers.map(({ statusCode }) => statusCode)
    expect(statuses).toEqual([...Array.from({ length: perUserMax }, () => 200), 429])
    const last = answers.at(-1)
    expect(last?.json()).toMatchObject({
      code: 'rate.limited',
      limit: perUserMax,
      remaining: 0,
      class: 'Export',
    })
    expect(Number(last?.headers['retry-after'])).toBeGreaterThan(0)
    expect(last?.headers['ratelimit-remaining']).toBe('0')
    expect((await exportLog('root')).statusCode).toBe(200)
    expect((await api.call({ url: '/v1/users/me', as: 'lead' })).statusCode).toBe(200)
  })

  test('is counted by address for who is not signed in', async () => {
    const answers = await times(
      rateLimits.SignIn.perIpMax + 1,
      async () => await refresh('192.0.2.1'),
    )
    expect(answers.at(-2)?.statusCode).not.toBe(429)
    expect(answers.at(-1)?.statusCode).toBe(429)
    expect((await refresh('192.0.2.2')).statusCode).not.toBe(429)
    const network = await times(
      rateLimits.SignIn.perIpMax + 1,
      async () => await refresh(`2001:db8::${Math.ceil(performance.now()).toString(16).slice(-4)}`),
    )
    expect(network.at(-1)?.statusCode).toBe(429)
  })
})

describe('tokens that are not valid', () => {
  test('the same again and again is refused without harm to its neighbours', async () => {
    const { perTokenMax } = badTokenLimit
    const answers = await times(perTokenMax + 1, async () => await withToken('bad', '198.51.100.1'))
    await eventually(async () =>
      expect((await withToken('bad', '198.51.100.1')).statusCode).toBe(429),
    )
    expect(answers[0]?.statusCode).toBe(401)
    const good = await withToken(await api.tokenOf('mina'), '198.51.100.1')
    expect(good.statusCode).toBe(200)
  })

  test('ever new ones close the door of their address', async () => {
    let guess = 0
    await times(
      badTokenLimit.perIpMax,
      async () => await withToken(`guess${(guess += 1)}`, '198.51.100.2'),
    )
    await eventually(async () =>
      expect((await withToken('one more', '198.51.100.2')).json()).toMatchObject({
        code: 'rate.limited',
        limit: badTokenLimit.perIpMax,
      }),
    )
    expect((await withToken('guess', '198.51.100.3')).statusCode).toBe(401)
  })

  test('do not keep anybody from the routes that are open to all', async () => {
    const refreshCookie = await refreshCookieOf('noor', '198.51.100.4')
    const headers = {
      ...from('198.51.100.4'),
      cookie: `__Host-atelier-access=expired; ${refreshCookie}`,
      'sec-fetch-site': 'same-origin',
    }
    await eventually(async () =>
      expect((await api.call({ url: '/v1/users/me', headers })).statusCode).toBe(429),
    )
    const url = '/v1/sessions/refresh'
    const refreshed = await api.call({ method: 'POST', url, headers, body: {} })
    expect(refreshed.statusCode).toBe(201)
  })
})

describe('wrong passwords', () => {
  test('for one address from one place are bounded, also by the right one', async () => {
    const { perPlaceMax } = signInLimits
    const answers = await Promise.all(
      Array.from({ length: 5 }, async () => await signIn('sam', '203.0.113.1')),
    )
    answers.push(...(await times(perPlaceMax - 5, async () => await signIn('sam', '203.0.113.1'))))
    for (const { statusCode } of answers) expect(statusCode).toBe(401)
    const over = await signIn('sam', '203.0.113.1', right)
    expect(over.json()).toMatchObject({ code: 'rate.limited', limit: perPlaceMax })
    expect(Number(over.headers['retry-after'])).toBeGreaterThan(60)
    expect((await signIn('sam', '203.0.113.2', right)).statusCode).toBe(201)
  })

  test('for one’s own account are bounded and noted as those to sign in', async () => {
    const { perPlaceMax } = signInLimits
    const change = async (currentPassword: string) =>
      await api.call({
        method: 'PUT',
        url: '/v1/users/me/password',
        as: 'poor',
        headers: from('203.0.113.3'),
        body: { currentPassword, newPassword: 'six small boats at low tide' },
      })
    for (const { statusCode } of await times(perPlaceMax, async () => await change('wrong'))) {
      expect(statusCode).toBe(401)
    }
    expect((await change(right)).json()).toMatchObject({ code: 'rate.limited', limit: perPlaceMax })
    const { directory, auditLog } = api.core.people
    const poor = await directory.findByEmail(api.emailOf('poor'))
    const query = { action: 'session.refused', actorId: poor?._id, limit: 20 } as const
    expect(await auditLog.page(query)).toHaveLength(perPlaceMax)
  })
})

describe('a counter', () => {
  test('that Redis answers too late counts once all the same', async () => {
    const { redisUrl } = testEnvironment()
    const line = await openTcpProxy(redisUrl)
    const faults: string[] = []
    const options = {
      prefix: `late-${randomBytes(4).toString('hex')}:`,
      clock: systemClock,
      onError: (error: unknown) => faults.push(String(error)),
    }
    const counters = openCounters({ ...options, url: `redis://127.0.0.1:${line.port}` })
    const replica = openCounters({ ...options, url: redisUrl })
    const hit = async (key: string): Promise<number> => (await counters.hit(key, 60_000)).count
    const reached = async (probe: string): Promise<void> =>
      await eventually(async () => {
        await hit(probe)
        expect((await replica.read(probe)).count).toBeGreaterThan(0)
      })
    await reached('before')
    expect(await hit('key')).toBe(1)
    line.freeze()
    expect([await hit('key'), await hit('key')]).toEqual([2, 3])
    expect(faults).toContain('Error: Redis did not answer within 150 ms')
    line.thaw()
    await reached('after')
    expect(await hit('key')).toBe(4)
    for (const one of [counters, replica]) one.close()
    await line.close()
  })
})

describe('tries to sign in', () => {
  const { perPlaceMax, perAddressMax } = signInLimits
  let counters: Counters
  let attempts: SignInAttempts
  beforeAll(async () => {
    const prefix = `tries-${randomBytes(4).toString('hex')}:`
    const url = testEnvironment().redisUrl
    counters = openCounters({ url, prefix, clock: systemClock, onError: () => {} })
    attempts = openSignInAttempts({ counters, seal: createSeal(randomBytes(32), randomBytes) })
  })
  afterAll(() => counters.close())

  const begins = async (email: string, ip: string): Promise<boolean> =>
    await attempts.begin(email, ip).then(
      () => true,
      (error: unknown) => {
        if (isAppError(error, 'rate.limited')) return false
        throw error
      },
    )

  test('are counted before their end is known: many at once do not slip by', async () => {
    const answers = await Promise.all(
      Array.from({ length: 50 }, async () => await begins('a@x.example', '192.0.2.1')),
    )
    expect(accepted(answers)).toBe(perPlaceMax)
    expect(await begins(' A@X.example', '192.0.2.1')).toBe(false)
    expect(await begins('a@x.example', '192.0.2.2')).toBe(true)
    expect(await begins('b@x.example', '192.0.2.1')).toBe(true)
  })

  test('from one network of IPv6 are from one place', async () => {
    let host = 0
    const answers = await times(
      perPlaceMax + 1,
      async () => await begins('e@x.example', `2001:db8:0:1::${(host += 1)}`),
    )
    expect(accepted(answers)).toBe(perPlaceMax)
    expect(await begins('e@x.example', '2001:db8:0:2::1')).toBe(true)
  })

  test('count no more after the right password', async () => {
    await times(perPlaceMax, async () => await begins('c@x.example', '192.0.2.1'))
    await attempts.succeeded('c@x.example', '192.0.2.1')
    const answers = await times(
      perPlaceMax + 1,
      async () => await begins('c@x.example', '192.0.2.1'),
    )
    expect(accepted(answers)).toBe(perPlaceMax)
  })

  test('from everywhere are bounded, but for a place that its owner signed in from', async () => {
    const email = 'd@x.example'
    await begins(email, '198.51.100.7')
    await attempts.succeeded(email, '198.51.100.7')
    let place = 0
    const answers = await times(
      perAddressMax + 20,
      async () => await begins(email, `203.0.113.${(place += 1)}`),
    )
    expect(accepted(answers)).toBe(perAddressMax)
    expect(await begins(email, '192.0.2.9')).toBe(false)
    expect(await begins(email, '198.51.100.7')).toBe(true)
  })
})

describe('while Redis is away', () => {
  test('that keeps its connections and does not answer: the same', async () => {
    redis.freeze()
    const { answers, medianMs } = await timed(10, readMe)
    for (const { statusCode } of answers) expect(statusCode).toBe(200)
    expect(medianMs).toBeLessThan(300)
    redis.restore()
  })

  test('limits go on from where they were, in memory, and nobody waits', async () => {
    const half = rateLimits.Export.perUserMax / 2
    const before = await exportAsRoot()
    const used = rateLimits.Export.perUserMax - Number(before.headers['ratelimit-remaining'])
    await times(half - used, exportAsRoot)
    redis.cut()
    const { answers, medianMs } = await timed(half + 1, exportAsRoot)
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 429])
    expect(medianMs).toBeLessThan(750)
    redis.restore()
  })
})
