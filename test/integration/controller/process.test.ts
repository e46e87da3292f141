import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import { childEnvironment } from '../../../src/platform/config/environment.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'

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

/** Port 0 would be better, but then only the log would know the port. */
const listen = `127.0.0.1:${20_000 + Math.floor(Math.random() * 10_000)}`

async function get(page: string): Promise<{ status: number; body: string }> {
  const response = await fetch(`http://${listen}${page}`, { signal: AbortSignal.timeout(5000) })
  return { status: response.status, body: await response.text() }
}

describe('the controller process', () => {
  it('becomes ready, shows its metrics and stops in order', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'atelier-controller-'))
    const process = start({
      KUBECONFIG: testEnvironment().kubeconfigPath,
      ATELIER_API_INTERNAL_URL: 'http://127.0.0.1:9',
      ATELIER_INTERNAL_TOKEN_FILE: path.join(folder, 'token'),
      ATELIER_METRICS_LISTEN: listen,
      ATELIER_INFERENCE_IMAGE: 'atelier.dev/inference:test',
      ATELIER_POD_API_URL: 'http://127.0.0.1:9',
      ATELIER_WATCH_NAMESPACE: 'there-is-no-such-namespace',
      ATELIER_NODE_SELECTOR: 'test.atelier.dev/pool=none',
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
