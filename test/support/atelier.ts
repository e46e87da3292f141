import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { planRedis, startRedis } from '../../src/local/components/redis.ts'
import type { DemoUser } from '../../src/local/demo-accounts.ts'
import {
  type Atelier,
  type AtelierOptions,
  openAdminClient,
  startAtelier,
} from '../../src/local/environment.ts'
import { applySamples } from '../../src/local/manifests.ts'
import { withDatabaseName } from '../../src/local/mongodb-uri.ts'
import { freePorts } from '../../src/local/ports.ts'
import { openRunRecord } from '../../src/local/run-record.ts'
import { type LocalProcess, Supervisor } from '../../src/local/supervisor.ts'
import { systemClock } from '../../src/platform/clock/system-clock.ts'
import { readLocalConfig } from '../../src/platform/config/local.ts'
import type { KubeClient } from '../../src/platform/kube/client.ts'
import { unlessNotFound } from '../../src/platform/kube/errors.ts'
import { deleteObject, listObjects } from '../../src/platform/kube/objects.ts'
import { generationJobs } from '../../src/platform/kube/resources.ts'
import type { TestEnvironment } from './environment.ts'
import { openRestSession, type RestSession } from './rest-session.ts'

export type KubectlResult = {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** The whole product on the shared control plane, with its own database, Redis and folder. */
export type TestAtelier = Atelier & {
  readonly folder: string
  /** With the database's name. */
  readonly mongodbUri: string
  readonly redisUrl: string
  readonly signIn: (role: DemoUser['role'], department?: string) => Promise<RestSession>
  /** Runs the real kubectl as admin; `input` is its standard input. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<KubectlResult>
  readonly killRedis: () => Promise<void>
  readonly startRedis: () => Promise<void>
  /** Everything that was started here, for measurements. */
  readonly processes: () => readonly LocalProcess[]
}

type TestAtelierOptions = Pick<
  AtelierOptions,
  'nodes' | 'modelsFolder' | 'modelSources' | 'rateLimits'
> & {
  /** With the ModelPool of the samples, as `npm start` has it. Default: without any pool. */
  readonly demoPool?: boolean
}

/**
 * Starts everything that `npm start` starts. Jobs are deleted before and after, because the
 * accounts of other test files lie in other databases.
 */
export async function startTestAtelier(
  environment: TestEnvironment,
  { demoPool = false, ...options }: TestAtelierOptions = {},
): Promise<TestAtelier> {
  const folder = await mkdtemp(join(tmpdir(), 'atelier-e2e-'))
  const record = await openRunRecord(join(folder, 'run.json'))
  const signal = new AbortController().signal
  const supervisor = new Supervisor({ logFolder: join(folder, 'logs'), record, signal })
  const ports = await freePorts()
  await withAdmin(environment, async (client) => {
    await deleteJobs(client)
    await applySamples(client, { pool: demoPool })
  })
  const redis = await openRedis(supervisor, { folder: join(folder, 'redis'), port: ports.redis })
  const name = `e2e_${randomBytes(6).toString('hex')}`
  const mongodbUri = withDatabaseName(environment.mongodbUri, name)
  const redisUrl = `redis://127.0.0.1:${ports.redis}`
  const atelier = await startAtelier(supervisor, {
    kubeconfigPath: environment.kubeconfigPath,
    mongodbUri,
    redisUrl,
    folder,
    ports,
    clock: systemClock,
    printMail: () => undefined,
    signal,
    ...options,
  })
  return {
    ...atelier,
    ...redis,
    folder,
    mongodbUri,
    redisUrl,
    signIn: async (role, department = 'vision') => {
      const user = atelier.accounts.users.find(
        (one) => one.role === role && one.department === department,
      )
      if (user === undefined) throw new Error(`no demo account is ${role} of ${department}`)
      return await openRestSession(atelier.apiUrl, user)
    },
    processes: () => supervisor.processes,
    kubectl: async (args, input) => await runKubectl(environment, { args, input }),
    stop: async () => {
      await withAdmin(environment, deleteJobs)
      if (demoPool) await removeDemoPool(environment)
      await atelier.stop()
      await supervisor.stopAll()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

async function withAdmin(
  { kubeconfigPath }: TestEnvironment,
  work: (client: KubeClient) => Promise<void>,
): Promise<void> {
  const client = openAdminClient(kubeconfigPath)
  try {
    await work(client)
  } finally {
    await client.close()
  }
}

async function deleteJobs(client: KubeClient): Promise<void> {
  for (const { metadata } of await listObjects(client, generationJobs)) {
    // Those of a namespace that is going go by themselves.
    await deleteObject(client, generationJobs, metadata).catch(unlessNotFound)
  }
}

/** With its pods, while there is a node agent that ends them: other tests have the same Nodes. */
async function removeDemoPool(environment: TestEnvironment): Promise<void> {
  const place = ['-n', 'atelier-jobs']
  const pods = ['pod', ...place, '-l', 'atelier.dev/pool=demo', '--timeout=60s']
  await runKubectl(environment, { args: ['delete', 'atpool', 'demo', ...place] })
  await runKubectl(environment, { args: ['wait', '--for=delete', ...pods] })
}

async function openRedis(
  supervisor: Supervisor,
  place: { readonly folder: string; readonly port: number },
) {
  const plan = await planRedis(
    { ...readLocalConfig(), redisUrl: undefined },
    new AbortController().signal,
  )
  if (plan.kind !== 'Server') throw new Error('the plan of a Redis to start is not one')
  const start = async () => await startRedis(supervisor, { ...place, program: plan.program })
  let current: LocalProcess = await start()
  return {
    killRedis: async () => {
      current.expectEnd()
      current.kill('SIGKILL')
      await current.ended
    },
    startRedis: async () => {
      current = await start()
    },
  }
}

async function runKubectl(
  { kubectl, kubeconfigPath }: TestEnvironment,
  { args, input = '' }: { readonly args: readonly string[]; readonly input?: string | undefined },
): Promise<KubectlResult> {
  const [program = '', ...first] = kubectl
  return await new Promise((resolve) => {
    const child = execFile(
      program,
      [...first, '--kubeconfig', kubeconfigPath, ...args],
      { maxBuffer: 64 * 1024 * 1024 },
      (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : Number(error.code ?? 1)
        resolve({ exitCode, stdout, stderr })
      },
    )
    child.stdin?.end(input)
  })
}

/** Asks until the fact holds; fails with the last answer when it never does. */
export async function pollUntil<T>(
  ask: () => Promise<T>,
  holds: (answer: T) => boolean,
  limitMs = 60_000,
): Promise<T> {
  const endMs = systemClock.nowMs() + limitMs
  for (;;) {
    const answer = await ask()
    if (holds(answer)) return answer
    if (systemClock.nowMs() > endMs) {
      throw new Error(`it did not come true; last answer: ${JSON.stringify(answer)}`)
    }
    await sleep(100)
  }
}
