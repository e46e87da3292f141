import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { childEnvironment } from '../../../src/platform/config/environment.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { createObject, deleteObject, getObject } from '../../../src/platform/kube/objects.ts'
import { leases, models } from '../../../src/platform/kube/resources.ts'
import { systemNamespace } from '../../../src/shared/names.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { openAdminClient } from '../../support/kube.ts'
import { modelSpec } from './world.ts'

const main = path.resolve(import.meta.dirname, '../../../src/controller/main.ts')
const id = randomBytes(4).toString('hex')
const started: ChildProcess[] = []
let admin: KubeClient

beforeAll(() => {
  admin = openAdminClient()
})
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL')
  await deleteObject(admin, models, { name: id })
  await admin.close()
})

/** Port 0 would be better, but then only the log would know the port. */
let port = 20_000 + Math.floor(Math.random() * 10_000)

/** A controller as a process, of which several stand for the same Lease. */
function start(podName: string) {
  port += 1
  const listen = `127.0.0.1:${port}`
  const child = spawn(process.execPath, [main], {
    env: childEnvironment({
      KUBECONFIG: testEnvironment().kubeconfigPath,
      ATELIER_API_INTERNAL_URL: 'http://127.0.0.1:9',
      ATELIER_INTERNAL_TOKEN_FILE: '/there/is/none',
      ATELIER_METRICS_LISTEN: listen,
      ATELIER_INFERENCE_IMAGE: 'atelier.dev/inference:test',
      ATELIER_POD_API_URL: 'http://127.0.0.1:9',
      ATELIER_WATCH_NAMESPACE: 'there-is-no-such-namespace',
      ATELIER_NODE_SELECTOR: 'test.atelier.dev/pool=none',
      ATELIER_POD_NAME: podName,
    }),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  started.push(child)
  const get = async (page: string) => {
    const response = await fetch(`http://${listen}${page}`, { signal: AbortSignal.timeout(5000) })
    return { status: response.status, body: await response.text() }
  }
  return {
    child,
    log: text(child.stdout),
    isReady: async () => expect(await get('/readyz')).toMatchObject({ status: 200 }),
    metrics: async () => (await get('/metrics')).body,
  }
}

type Controller = ReturnType<typeof start>

async function untilLeading(controller: Controller): Promise<void> {
  await eventually(async () => {
    expect(await controller.metrics()).toMatch(/^atelier_controller_leading\{.*\} 1$/m)
  })
}

async function readHolder(): Promise<string | undefined> {
  const ref = { namespace: systemNamespace, name: 'atelier-controller' }
  return (await getObject(admin, leases, ref)).spec?.holderIdentity
}

// Those that lose the lead are in test/fault/nothing-lost/election.test.ts.
it('works alone, and hands over at once when it ends in order', playHandOver, 180_000)

async function playHandOver(): Promise<void> {
  const first = start(`first-${id}`)
  await untilLeading(first)
  const second = start(`second-${id}`)
  await eventually(second.isReady)
  const standing = await second.metrics()
  expect(standing).toMatch(/^atelier_controller_leading\{.*\} 0$/m)
  expect(standing).not.toMatch(/^atelier_kube_writes_total\{/m)
  expect(await readHolder()).toMatch(`first-${id}_`)

  await stop(first)
  await untilLeading(second)
  expect(await readHolder()).toMatch(`second-${id}_`)
  await createObject(admin, models, { metadata: { name: id }, spec: modelSpec() })
  await eventually(async () => {
    const { status } = await getObject(admin, models, { name: id })
    expect(status?.conditions).toHaveLength(1)
  })
  await stop(second)
  expect(await readHolder()).toBeUndefined()
}

async function stop({ child, log }: Controller): Promise<void> {
  const stopped = once(child, 'exit')
  child.kill('SIGTERM')
  expect(await stopped).toEqual([0, null])
  expect(await log).not.toContain('the lead is lost')
}
