import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { childEnvironment } from '../../../src/platform/config/environment.ts'
import { getObject } from '../../../src/platform/kube/objects.ts'
import { leases } from '../../../src/platform/kube/resources.ts'
import { controllerLease, systemNamespace } from '../../../src/shared/names.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { openAdminClient } from '../../support/kube.ts'

const main = path.resolve(import.meta.dirname, '../../../src/controller/main.ts')
let child: ChildProcess | undefined

afterEach(() => {
  child?.kill('SIGKILL')
})

function start(environment: Record<string, string>) {
  const process = spawn(globalThis.process.execPath, [main], {
    env: childEnvironment({ ...environment, ATELIER_LOG_LEVEL: 'info' }),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  child = process
  return process
}

/** As soon as anybody looks at it there is no spec. */
const broken = JSON.stringify({
  metadata: { resourceVersion: '1' },
  items: [
    {
      metadata: { name: 'broken', namespace: 'none', uid: 'broken', resourceVersion: '1' },
      status: {
        conditions: [{ type: 'Admitted', status: 'True', lastTransitionTime: '2026-01-01' }],
        attempt: { number: 1, startTime: '2026-01-01' },
        completionTime: '2026-01-01',
      },
    },
  ],
})

/** Port 0 would be better, but then only the log would know the port. */
const listen = `127.0.0.1:${20_000 + Math.floor(Math.random() * 10_000)}`

const settings = {
  ATELIER_API_INTERNAL_URL: 'http://127.0.0.1:9',
  ATELIER_METRICS_LISTEN: listen,
  ATELIER_INFERENCE_IMAGE: 'atelier.dev/inference:test',
  ATELIER_POD_API_URL: 'http://127.0.0.1:9',
  ATELIER_WATCH_NAMESPACE: 'there-is-no-such-namespace',
  ATELIER_NODE_SELECTOR: 'test.atelier.dev/pool=none',
}

async function get(page: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://${listen}${page}`, { signal: AbortSignal.timeout(5000) })
  return { status: response.status, body: await response.text() }
}

describe('the controller process', () => {
  it('becomes ready, shows its metrics and stops in order', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'atelier-controller-'))
    const process = start({
      ...settings,
      KUBECONFIG: testEnvironment().kubeconfigPath,
      ATELIER_INTERNAL_TOKEN_FILE: path.join(folder, 'token'),
    })
    await eventually(async () => {
      expect(await get('/readyz')).toMatchObject({ status: 200 })
    })
    expect(await get('/healthz')).toMatchObject({ status: 200 })
    const body = await eventually(async () => {
      const metrics = await get('/metrics')
      expect(metrics.body).toMatch(/^atelier_controller_leading\{.*\} 1$/m)
      // Its queues exist a moment later: whoever comes to lead lists everything anew before.
      expect(metrics.body).toMatch(/^atelier_queue_depth\{queue="generation-job".*\} 0$/m)
      return metrics.body
    })
    expect(body).toMatch(/^atelier_gpus\{state="total".*\} 0$/m)
    expect(body).toMatch(/^atelier_kube_requests_total\{verb="list",resource="generationjobs"/m)
    expect(body).toContain('atelier_reconcile_duration_seconds')
    expect(body).toContain('atelier_jobs_ended_total')
    process.kill('SIGTERM')
    expect(await once(process, 'exit')).toEqual([0, null])
    await rm(folder, { recursive: true })
  })

  it('ends when it cannot begin, and leaves the lead to others', async () => {
    const { kubeconfigPath } = testEnvironment()
    const proxy = await startFaultProxy(kubeconfigPath)
    const fault = { kind: 'Lines', lines: [broken] } as const
    proxy.inject({ verb: 'list', containing: '/generationjobs', times: Infinity, fault })
    const process = start({
      ...settings,
      KUBECONFIG: proxy.kubeconfigPath,
      ATELIER_INTERNAL_TOKEN_FILE: '/there/is/none',
    })
    const [[code], stdout] = await Promise.all([once(process, 'exit'), text(process.stdout)])
    await proxy.close()
    expect(code).toBe(1)
    expect(stdout).toContain('the controller cannot begin')
    const admin = openAdminClient()
    const ref = { namespace: systemNamespace, name: controllerLease }
    expect((await getObject(admin, leases, ref)).spec?.holderIdentity).toBeUndefined()
    await admin.close()
  })

  it('names every variable that is missing or wrong, and ends', async () => {
    const process = start({
      ATELIER_API_INTERNAL_URL: 'nowhere',
      ATELIER_ALLOW_CPU: 'perhaps',
      ATELIER_NODE_SELECTOR: 'no pairs',
    })
    const [[code], stderr] = await Promise.all([once(process, 'exit'), text(process.stderr)])
    expect(code).toBe(1)
    const names = ['ATELIER_API_INTERNAL_URL', 'ATELIER_ALLOW_CPU', 'ATELIER_INFERENCE_IMAGE']
    for (const name of [...names, 'ATELIER_NODE_SELECTOR']) expect(stderr).toContain(name)
    expect(stderr).not.toContain('    at ')
  })
})
