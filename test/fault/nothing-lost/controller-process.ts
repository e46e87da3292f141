import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'vitest'
import { freePorts } from '../../../src/local/ports.ts'
import { childEnvironment } from '../../../src/platform/config/environment.ts'
import type { World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'

const main = path.resolve(import.meta.dirname, '../../../src/controller/main.ts')
const preload = path.resolve(import.meta.dirname, 'blocking.ts')

export type ControllerProcess = {
  readonly podName: string
  readonly child: ChildProcess
  readonly log: Promise<string>
  readonly untilReady: () => Promise<void>
  readonly untilLeading: () => Promise<void>
  readonly metrics: () => Promise<string>
  /** Blocks its event loop until `release` exists. */
  readonly block: () => void
  readonly exited: Promise<unknown[]>
}

export type ControllerProcessOptions = {
  readonly podName: string
  readonly kubeconfigPath: string
  /** A path at which nothing is: whoever writes there ends the blocking. */
  readonly release: string
}

/** A controller of this world as a process, of which several stand for the same Lease. */
export async function startControllerProcess(
  world: World,
  options: ControllerProcessOptions,
): Promise<ControllerProcess> {
  const { podName, kubeconfigPath, release } = options
  const { tokenFile } = await world.files()
  const listen = `127.0.0.1:${(await freePorts()).controllerMetrics}`
  const child = spawn(process.execPath, ['--import', preload, main, release], {
    env: childEnvironment({
      KUBECONFIG: kubeconfigPath,
      ATELIER_API_INTERNAL_URL: world.api.url,
      ATELIER_INTERNAL_TOKEN_FILE: tokenFile,
      ATELIER_METRICS_LISTEN: listen,
      ATELIER_INFERENCE_IMAGE: 'atelier.dev/inference:test',
      ATELIER_POD_API_URL: world.api.url,
      ATELIER_WATCH_NAMESPACE: world.namespace,
      ATELIER_NODE_SELECTOR: `test.atelier.dev/pool=${world.namespace.replace('ctl-', '')}`,
      ATELIER_RETRY_BASE_SECONDS: '1',
      ATELIER_POD_NAME: podName,
    }),
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  const get = async (page: string) => {
    const answer = await fetch(`http://${listen}${page}`, { signal: AbortSignal.timeout(5000) })
    return { status: answer.status, body: await answer.text() }
  }
  const metrics = async () => (await get('/metrics')).body
  return {
    podName,
    child,
    log: text(child.stdout),
    untilReady: async () =>
      await eventually(async () => expect(await get('/readyz')).toMatchObject({ status: 200 })),
    untilLeading: async () =>
      await eventually(async () => {
        expect(await metrics()).toMatch(/^atelier_controller_leading\{.*\} 1$/m)
      }, 60_000),
    metrics,
    block: () => child.kill('SIGUSR2'),
    exited: once(child, 'exit'),
  }
}
