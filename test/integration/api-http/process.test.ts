import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openDatabase } from '../../../src/platform/mongo/database.ts'
import { openKubeClient } from '../../../src/platform/kube/client.ts'
import { testEnvironment } from '../../support/environment.ts'
import { eventually } from '../../support/eventually.ts'
import { canaryPassword } from '../../support/canary.ts'
import { writeApiKubeconfig } from './harness.ts'

const program = join(import.meta.dirname, '../../../src/api/main.ts')
const started = new Set<ChildProcess>()
let folder: string
let environment: Record<string, string>
let ports: { readonly open: number; readonly internal: number; readonly metrics: number }

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'api-process-'))
  const { kubeconfigPath, mongodbUri, redisUrl } = testEnvironment()
  const admin = openKubeClient({ kubeconfigPath, userAgent: 'api-process' })
  ports = { open: await freePort(), internal: await freePort(), metrics: await freePort() }
  for (const name of ['url-key', 'seal-key']) {
    await writeFile(join(folder, name), `${randomBytes(32).toString('hex')}\n`)
  }
  await writeFile(join(folder, 'demo.json'), JSON.stringify(demo))
  environment = {
    PATH: process.env['PATH'] ?? '',
    NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] ?? '',
    ATELIER_LISTEN: `127.0.0.1:${ports.open}`,
    ATELIER_INTERNAL_LISTEN: `127.0.0.1:${ports.internal}`,
    ATELIER_METRICS_LISTEN: `127.0.0.1:${ports.metrics}`,
    ATELIER_PUBLIC_URL: `http://127.0.0.1:${ports.open}`,
    ATELIER_INTERNAL_URL: `http://127.0.0.1:${ports.internal}`,
    MONGODB_URI: `${mongodbUri}/api-process-${randomBytes(4).toString('hex')}`,
    REDIS_URL: redisUrl,
    KUBECONFIG: await writeApiKubeconfig(admin, folder),
    ATELIER_OBJECTS_FOLDER: join(folder, 'objects'),
    ATELIER_SECRETS_FOLDER: folder,
    ATELIER_DEMO_ACCOUNTS_FILE: join(folder, 'demo.json'),
  }
  await admin.close()
})
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL')
  const database = await openDatabase({ uri: environment['MONGODB_URI'] ?? '' })
  await database.native.dropDatabase()
  await database.close()
  await rm(folder, { recursive: true, force: true })
})

const password = canaryPassword
const demo = {
  departments: [{ name: 'quality', displayName: 'Quality' }],
  users: [
    {
      email: 'mina@quality.example',
      password,
      name: 'Mina',
      role: 'department_member',
      department: 'quality',
    },
  ],
  credits: [
    { account: { department: 'quality', user: 'mina@quality.example' }, credits: '1000.5' },
    { account: { department: 'quality' }, credits: '10' },
  ],
}

function start(changes: Readonly<Record<string, string | undefined>> = {}) {
  const env = Object.fromEntries(
    Object.entries({ ...environment, ...changes }).filter(([, value]) => value !== undefined),
  )
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  started.add(child)
  let output = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const ended = once(child, 'exit').then(([code]) => z.int().nullable().parse(code))
  return { child, ended, output: () => output }
}

async function balance(): Promise<unknown> {
  const base = `http://127.0.0.1:${ports.open}`
  const session = await fetch(`${base}/v1/sessions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: 'mina@quality.example', password }),
  })
  const { accessToken } = z.object({ accessToken: z.string() }).parse(await session.json())
  const me = await fetch(`${base}/v1/users/me`, {
    headers: { authorization: `Bearer ${accessToken}` },
  })
  return z.object({ balance: z.string() }).parse(await me.json()).balance
}

describe('the api process', () => {
  test('starts, serves, stops in order on SIGTERM, and issues demo credits only once', async () => {
    for (let round = 1; round <= 2; round += 1) {
      const { child, ended, output } = start()
      await eventually(() => expect(output()).toContain('the api is listening'))
      const probe = async (path: string) => {
        const response = await fetch(`http://127.0.0.1:${ports.metrics}${path}`)
        return { status: response.status, text: await response.text() }
      }
      await eventually(async () => expect((await probe('/readyz')).status).toBe(200))
      expect((await probe('/healthz')).status).toBe(200)
      expect(await balance()).toBe('1000.5')
      expect((await probe('/metrics')).text).toContain('atelier_api_sign_ins_total')
      const hidden = await fetch(`http://127.0.0.1:${ports.open}/metrics`)
      expect(hidden.status).toBe(404)
      const internal = await fetch(
        `http://127.0.0.1:${ports.internal}/internal/v1/jobs/x/settlement`,
      )
      expect([401, 400]).toContain(internal.status)
      expect(internal.headers.get('content-type')).toBe('application/problem+json')
      child.kill('SIGTERM')
      expect(await ended).toBe(0)
      expect(output()).not.toContain(password)
      expect(output()).not.toContain('mina@')
    }
  })

  test.each([
    ['a variable is missing', { ATELIER_PUBLIC_URL: undefined }, 'ATELIER_PUBLIC_URL'],
    ['the secrets are missing', { ATELIER_SECRETS_FOLDER: '/nowhere' }, 'url-key'],
    ['the demo file is missing', { ATELIER_DEMO_ACCOUNTS_FILE: '/nowhere' }, 'DEMO_ACCOUNTS_FILE'],
    ['the address names no database', { MONGODB_URI: 'mongodb://127.0.0.1:1' }, 'MONGODB_URI'],
  ])('ends with one clear line when %s', async (_name, changes, named) => {
    const { ended, output } = start(changes)
    expect(await ended).toBe(1)
    const errors = output()
      .split('\n')
      .filter((line) => line.includes('"level":"error"'))
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain(named)
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = z.object({ port: z.int() }).parse(server.address())
  server.close()
  await once(server, 'close')
  return port
}
