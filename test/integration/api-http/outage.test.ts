import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startReadiness } from '../../../src/api/readiness.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { jobView } from '../../../src/shared/wire/jobs.ts'
import { eventually } from '../../support/eventually.ts'
import { testEnvironment } from '../../support/environment.ts'
import { startApi, type TestApi } from './harness.ts'
import { openEvents, openTcpProxy, type TcpProxy } from './http-client.ts'
import { succeeded } from './surroundings.ts'

let api: TestApi
let mongo: TcpProxy
let redis: TcpProxy
beforeAll(async () => {
  const { mongodbUri, redisUrl } = testEnvironment()
  mongo = await openTcpProxy(mongodbUri)
  redis = await openTcpProxy(redisUrl)
  const name = `api-outage-${randomBytes(4).toString('hex')}`
  api = await startApi({
    mongodbUri: `mongodb://127.0.0.1:${mongo.port}/${name}`,
    redisUrl: `redis://127.0.0.1:${redis.port}`,
    heartbeatMs: 300,
  })
})
afterAll(async () => {
  mongo.restore()
  redis.restore()
  await api.close()
  await mongo.close()
  await redis.close()
})

const recovered = async (): Promise<void> =>
  await eventually(async () => {
    expect((await api.call({ url: '/v1/jobs', as: 'mina' })).statusCode).toBe(200)
  })

const everyKindOfRequest = async () => [
  await api.call({ url: '/v1/jobs', as: 'mina' }),
  await api.call({ url: '/v1/users/me', as: 'mina' }),
  await api.call({ method: 'POST', url: '/v1/jobs', as: 'mina', body: api.jobBody() }),
  await api.call({
    method: 'POST',
    url: '/v1/sessions',
    body: { email: api.emailOf('mina'), password: 'x' },
  }),
]

describe('while Redis is away', () => {
  test('jobs are accepted, read and watched; only liveliness is lost', async () => {
    redis.cut()
    const jobId = await api.submit('mina')
    const address = await api.api.app.listen({ host: '127.0.0.1', port: 0 })
    const stream = await openEvents(`${address}/v1/jobs/${jobId}/events`, await api.tokenOf('mina'))
    expect((await stream.next())?.name).toBe('job')
    const status = { conditions: [succeeded('True', 'Completed')] }
    await eventually(async () => await api.surroundings.setJobStatus(jobId, status))
    const states: string[] = []
    for (let event = await stream.next(); event !== null; event = await stream.next()) {
      if (event.name === 'job') states.push(jobView.parse(event.data).state)
    }
    expect(states.at(-1)).toBe('Completed')
    redis.restore()
  })
})

describe('while the database is away', () => {
  test('the process is not ready, and ready again afterwards', async () => {
    await recovered()
    const { database, isReady: isSynced } = api.core
    const readiness = startReadiness({ ping: database.ping, isSynced, clock: systemClock })
    await eventually(() => expect(readiness.isReady()).toBe(true))
    mongo.cut()
    await eventually(() => expect(readiness.isReady()).toBe(false))
    mongo.restore()
    await eventually(() => expect(readiness.isReady()).toBe(true))
    readiness.stop()
  })

  test('requests are answered 503 with Retry-After, and served again afterwards', async () => {
    await recovered()
    mongo.cut()
    for (const response of await everyKindOfRequest()) {
      expect(response.json()).toMatchObject({ status: 503, code: 'platform.unavailable' })
      expect(Number(response.headers['retry-after'])).toBeGreaterThan(0)
    }
    mongo.restore()
    await recovered()
  })

  test(
    'but keeps its connections, requests do not hang for ever',
    { timeout: 120_000 },
    async () => {
      await recovered()
      mongo.freeze()
      const answers = await Promise.all([
        api.call({ url: '/v1/jobs', as: 'mina' }),
        api.call({ method: 'POST', url: '/v1/jobs', as: 'mina', body: api.jobBody() }),
      ])
      for (const answer of answers) {
        expect(answer.json()).toMatchObject({ status: 503, code: 'platform.unavailable' })
      }
      mongo.restore()
      await recovered()
    },
  )

  test('what needs no database is still served', async () => {
    mongo.cut()
    expect((await api.call({ url: '/openapi.json' })).statusCode).toBe(200)
    expect((await api.call({ url: '/nothing' })).statusCode).toBe(404)
    mongo.restore()
    await recovered()
  })
})
