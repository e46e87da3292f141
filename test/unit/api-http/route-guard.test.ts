import { pino } from 'pino'
import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { createApiMetrics } from '../../../src/api/metrics.ts'
import { registerAuthentication } from '../../../src/api/plugins/authentication.ts'
import { createHttpApp } from '../../../src/api/plugins/http-app.ts'
import { registerRequestLog } from '../../../src/api/plugins/request-log.ts'
import { registerRequestMetrics } from '../../../src/api/plugins/request-metrics.ts'
import { guardRoutes } from '../../../src/api/plugins/route-config.ts'
import { AppError } from '../../../src/shared/errors.ts'

async function build() {
  const lines: string[] = []
  const app = createHttpApp({
    log: pino({}, { write: (line: string) => void lines.push(line) }),
    publicUrl: 'https://atelier.example',
    newRequestId: () => 'request-1',
    bodyBytesMax: 100,
  })
  const listRoutes = guardRoutes(app)
  const registry = new Registry()
  registerRequestLog(app)
  registerRequestMetrics(app, createApiMetrics(registry))
  await registerAuthentication(app, {
    publicUrl: 'https://atelier.example',
    verifyToken: async () => {
      throw new AppError('auth.invalid_token', 'nobody is known here')
    },
  })
  return { app, listRoutes, registry, lines }
}

describe('a route', () => {
  test('without a permission keeps the app from starting', async () => {
    const { app } = await build()
    app.get('/open', () => 'data')
    await expect(app.ready()).rejects.toThrow('GET /open declares no permission')
  })

  test('is closed unless it says Public', async () => {
    const { app } = await build()
    app.get('/closed', { config: { permission: 'jobs.read' } }, () => 'data')
    app.get('/open', { config: { permission: 'Public' } }, () => 'data')
    expect((await app.inject('/closed')).statusCode).toBe(401)
    const token = { authorization: 'Bearer x' }
    expect((await app.inject({ url: '/closed', headers: token })).statusCode).toBe(401)
    expect((await app.inject('/open')).body).toBe('data')
  })

  test('that fails by a bug says nothing about it to the client and all to the log', async () => {
    const { app, lines } = await build()
    app.get('/bug', { config: { permission: 'Public' } }, () => {
      throw new Error('the inner secret')
    })
    const response = await app.inject('/bug')
    expect(response.json()).toMatchObject({ status: 500, code: 'platform.internal' })
    expect(response.body).not.toContain('secret')
    expect(lines.join('')).toContain('the inner secret')
  })
})

describe('a request', () => {
  test('is one line in the log, with the template and never with what was sent', async () => {
    const { app, lines } = await build()
    app.get('/jobs/:id', { config: { permission: 'Public' } }, () => 'data')
    await app.inject({
      url: '/jobs/7?signature=s3cret',
      headers: { authorization: 'Bearer t0ken' },
    })
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      requestId: 'request-1',
      method: 'GET',
      route: '/jobs/:id',
      status: 200,
    })
    expect(lines[0]).not.toMatch(/s3cret|t0ken/)
  })

  test('to nowhere shares one label, whatever its address and method', async () => {
    const { app, registry } = await build()
    await app.inject('/a')
    await app.inject({ method: 'DELETE', url: '/b' })
    const count = /_count\{route="unknown",method="other",status="4xx"\} 2/
    expect(await registry.metrics()).toMatch(count)
  })

  test('over https is answered with strict transport security', async () => {
    const { app } = await build()
    expect((await app.inject('/a')).headers['strict-transport-security']).toContain('max-age')
  })

  test('cannot choose its own id, address or host by headers', async () => {
    const { app } = await build()
    app.get('/ip', { config: { permission: 'Public' } }, (request) => `${request.ip} ${request.id}`)
    const headers = { 'x-forwarded-for': '6.6.6.6', 'x-request-id': 'mine', 'request-id': 'mine' }
    expect((await app.inject({ url: '/ip', headers })).body).toBe('127.0.0.1 request-1')
  })
})
