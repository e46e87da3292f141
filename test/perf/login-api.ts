import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeDemoAccounts, type DemoUser } from '../../src/local/demo-accounts.ts'
import { freePorts } from '../../src/local/ports.ts'
import { makeSecrets } from '../../src/local/secrets.ts'
import { pollUntil } from '../support/atelier.ts'
import type { TestEnvironment } from '../support/environment.ts'

/** The real api in a process of its own, which believes X-Forwarded-For of this machine. */
export type LoginApi = {
  readonly url: string
  readonly users: readonly DemoUser[]
  /** Processor time that its process has taken, all threads together. */
  readonly cpuMs: () => number
  readonly stop: () => Promise<void>
}

const program = join(import.meta.dirname, '../../src/api/main.ts')

export async function startLoginApi(environment: TestEnvironment): Promise<LoginApi> {
  const folder = await mkdtemp(join(tmpdir(), 'atelier-login-'))
  const ports = await freePorts()
  const demoFile = join(folder, 'demo.json')
  const { users } = await makeDemoAccounts(demoFile)
  await makeSecrets(folder)
  const url = `http://127.0.0.1:${ports.api}`
  const child = spawn(process.execPath, [program], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: {
      PATH: process.env['PATH'] ?? '',
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
      ATELIER_LISTEN: `127.0.0.1:${ports.api}`,
      ATELIER_INTERNAL_LISTEN: `127.0.0.1:${ports.apiInternal}`,
      ATELIER_METRICS_LISTEN: `127.0.0.1:${ports.apiMetrics}`,
      ATELIER_PUBLIC_URL: url,
      ATELIER_INTERNAL_URL: `http://127.0.0.1:${ports.apiInternal}`,
      MONGODB_URI: `${environment.mongodbUri}/login-${randomBytes(4).toString('hex')}`,
      REDIS_URL: environment.redisUrl,
      KUBECONFIG: environment.kubeconfigPath,
      ATELIER_OBJECTS_FOLDER: join(folder, 'objects'),
      ATELIER_SECRETS_FOLDER: folder,
      ATELIER_DEMO_ACCOUNTS_FILE: demoFile,
      ATELIER_TRUSTED_PROXIES: '127.0.0.1',
      ATELIER_LOG_LEVEL: 'error',
    },
  })
  const ended = once(child, 'exit')
  const probe = `http://127.0.0.1:${ports.apiMetrics}/readyz`
  await pollUntil(
    async () =>
      await fetch(probe).then(
        ({ status }) => status,
        () => 0,
      ),
    (status) => status === 200,
  )
  return {
    url,
    users,
    cpuMs: () => cpuMsOf(child.pid ?? 0),
    stop: async () => {
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** Fields 14 and 15 of /proc/PID/stat, in ticks of 10 ms; the name before them may have spaces. */
function cpuMsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}
