import { afterEach, describe, expect, it } from 'vitest'
import { Counter } from 'prom-client'
import {
  type MetricsServer,
  startMetricsServer,
} from '../../../../src/platform/http/metrics-server.ts'
import {
  countKubeRequests,
  measureReconciles,
} from '../../../../src/platform/metrics/kube-metrics.ts'
import { createRegistry } from '../../../../src/platform/metrics/registry.ts'

const servers: MetricsServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.close()
})

async function start(options: { ready?: boolean; healthy?: boolean } = {}) {
  const state = { ready: true, healthy: true, ...options }
  const registry = createRegistry('test')
  const server = await startMetricsServer({
    listen: { host: '127.0.0.1', port: 0 },
    registry,
    ready: () => state.ready,
    healthy: () => state.healthy,
  })
  servers.push(server)
  const get = async (path: string) => {
    const { host, port } = server.address
    const response = await fetch(`http://${host}:${port}${path}`)
    return { status: response.status, text: await response.text() }
  }
  return { state, registry, server, get }
}

describe('the metrics server', () => {
  it('tells health and readiness apart, as they are now', async () => {
    const { get, state } = await start({ ready: false })
    expect(await get('/healthz')).toEqual({ status: 200, text: 'ok' })
    expect(await get('/readyz')).toMatchObject({ status: 503 })
    state.ready = true
    expect(await get('/readyz?verbose')).toMatchObject({ status: 200 })
    state.healthy = false
    expect(await get('/healthz')).toMatchObject({ status: 503 })
  })

  it('shows process metrics and declared ones, named by process', async () => {
    const { get, registry } = await start()
    new Counter({ name: 'atelier_test_total', help: 'x', registers: [registry] }).inc(3)
    const { text } = await get('/metrics')
    expect(text).toContain('atelier_test_total{process="test"} 3')
    expect(text).toContain('nodejs_eventloop_lag_p99_seconds')
    expect(text).toContain('process_resident_memory_bytes')
  })

  it('counts requests to Kubernetes by verb, resource and status, and reconciles', async () => {
    const { get, registry } = await start()
    const observe = countKubeRequests(registry)
    observe({ verb: 'patch', resource: 'pods/status', status: 409, durationMs: 20 })
    measureReconciles(registry)('jobs')({ outcome: 'Failed', waitedMs: 1, durationMs: 2 })
    const { text } = await get('/metrics')
    expect(text).toMatch(
      /atelier_kube_requests_total\{verb="patch",resource="pods\/status",status="409",.*\} 1/,
    )
    expect(text).toMatch(
      /atelier_reconcile_duration_seconds_count\{.*queue="jobs",outcome="Failed".*\} 1/,
    )
  })

  it('knows no other address', async () => {
    expect(await (await start()).get('/secrets')).toMatchObject({ status: 404 })
  })

  it('says which port is taken', async () => {
    const { server, registry } = await start()
    const again = startMetricsServer({ listen: server.address, registry, ready: () => true })
    await expect(again).rejects.toMatchObject({
      code: 'platform.misconfigured',
      message: expect.stringContaining(`127.0.0.1:${server.address.port}`),
    })
  })
})
