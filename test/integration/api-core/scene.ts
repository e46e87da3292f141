import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openCaches, type ResourceCaches } from '../../../src/api/caches.ts'
import type { ApiCoreDeps } from '../../../src/api/composition.ts'
import type { CoreParts } from '../../../src/api/core-parts.ts'
import { openAccountService } from '../../../src/api/features/accounts/service.ts'
import { openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { openPictureStore } from '../../../src/api/features/artifacts/picture-store.ts'
import { openAttemptStore } from '../../../src/api/features/jobs/attempts.ts'
import type { JobEvent } from '../../../src/api/features/jobs/events.ts'
import type { JobServiceDeps } from '../../../src/api/features/jobs/service.ts'
import { openJobStore } from '../../../src/api/features/jobs/store.ts'
import { openQuoteStore } from '../../../src/api/features/quotes/store.ts'
import { sweepOnce } from '../../../src/api/tasks/sweep.ts'
import { migrations } from '../../../src/api/migrations/index.ts'
import { kubeconfigText } from '../../../src/local/kubeconfig-text.ts'
import { type KubeClient, openKubeClient } from '../../../src/platform/kube/client.ts'
import { readKubeconfig } from '../../../src/platform/kube/kubeconfig.ts'
import { createObject, deleteObject, requestToken } from '../../../src/platform/kube/objects.ts'
import { departments, models, namespaces } from '../../../src/platform/kube/resources.ts'
import { openDatabase } from '../../../src/platform/mongo/database.ts'
import { openLease } from '../../../src/platform/mongo/lease.ts'
import { migrate } from '../../../src/platform/mongo/migrate.ts'
import { openPeople } from '../../../src/api/people.ts'
import { createSeal } from '../../../src/platform/seal/seal.ts'
import { openFolderStore } from '../../../src/platform/objects/folder-store.ts'
import { openPubSub } from '../../../src/platform/redis/pub-sub.ts'
import type { ModelSpec } from '../../../src/shared/crd/model.ts'
import { accountIdOf, type Caller } from '../../../src/shared/domain/caller.ts'
import { labels, serviceAccounts, systemNamespace } from '../../../src/shared/names.ts'
import { testEnvironment } from '../../support/environment.ts'
import { openAdminClient } from '../../support/kube.ts'

/** A clock that runs with the real one and can be put forward. */
export type TestClock = {
  readonly nowMs: () => number
  readonly advance: (ms: number) => void
  /** From now on only `advance` moves it, until what is returned is called. */
  readonly freeze: () => () => void
}

/** One department with its namespaces and Model, and the parts of one api replica around them. */
export type Scene = {
  readonly name: string
  readonly admin: KubeClient
  readonly clock: TestClock
  readonly deps: ApiCoreDeps
  readonly parts: CoreParts
  readonly department: string
  /** Where the api creates jobs. */
  readonly jobsNamespace: string
  /** Labelled for the department: here people use kubectl. */
  readonly kubectlNamespace: string
  readonly model: string
  readonly caller: Caller
  /** Events that were published, in order. */
  readonly published: readonly JobEvent[]
  readonly woken: readonly string[]
  /** Gives an account credits; the caller's own by default. */
  readonly fund: (microCredits: number, accountId?: string) => Promise<void>
  readonly close: () => Promise<void>
}

export const perImage = 1_000_000

export function startTestClock(): TestClock {
  let offsetMs = 0
  let frozenMs: number | undefined
  return {
    nowMs: () => (frozenMs ?? Date.now()) + offsetMs,
    advance: (ms) => {
      offsetMs += ms
    },
    freeze: () => {
      frozenMs = Date.now()
      return () => {
        frozenMs = undefined
      }
    },
  }
}

export const silentLog = { info: () => {}, warn: () => {}, error: () => {} }

/** For a log of items that must not fail: throws what would be logged. */
export function throwWarned(fields: object): never {
  throw 'err' in fields ? fields.err : new Error('something was warned of')
}

/** The job service of a replica of its own, on the parts of the scene. */
export function jobServiceDeps({ parts }: Pick<Scene, 'parts'>): JobServiceDeps {
  return {
    ...parts,
    models: parts.caches.models.lister,
    departments: parts.caches.departments.lister,
    linkObject: (key) => ({ url: `http://public.test/${key}`, expiresMs: 0 }),
    wakeDispatcher: parts.dispatcher.wake,
    queue: { describe: async () => new Map() },
  }
}

/** One pass of the sweep, in which nothing may fail. */
export async function sweep({ parts }: Pick<Scene, 'parts'>, kube = parts.kube): Promise<void> {
  await sweepOnce({ ...parts, kube, log: { warn: throwWarned } })
}

export async function openScene(): Promise<Scene> {
  const name = `core-${randomBytes(5).toString('hex')}`
  const folder = await mkdtemp(path.join(tmpdir(), `${name}-`))
  const admin = openAdminClient()
  const clock = startTestClock()
  const kube = await openApiClient(admin, folder)
  const cluster = await createCluster(admin, name)
  const environment = testEnvironment()
  const uri = new URL(environment.mongodbUri)
  uri.pathname = `/${name}`
  const deps: ApiCoreDeps = {
    kube,
    mongodbUri: uri.toString(),
    redisUrl: environment.redisUrl,
    redisPrefix: `${name}:`,
    installation: name,
    objects: await openFolderStore(path.join(folder, 'objects')),
    urlKey: randomBytes(32),
    seal: createSeal(randomBytes(32), randomBytes),
    publicUrl: 'http://public.test',
    internalUrl: 'http://127.0.0.1:1',
    clock,
    random: Math.random,
    randomBytes,
    log: silentLog,
  }
  const published: JobEvent[] = []
  const woken: string[] = []
  const parts = await openParts(deps, { published, woken })
  await parts.caches.synced()
  const caller: Caller = {
    userId: `u-${name}`,
    department: cluster.department,
    role: 'department_member',
  }
  return {
    ...cluster,
    name,
    admin,
    clock,
    deps,
    parts,
    caller,
    published,
    woken,
    fund: async (microCredits, accountId = accountIdOf({ ...caller, user: caller.userId })) => {
      const issueId = randomBytes(8).toString('hex')
      await parts.accounts.issue({ accountId, issueId, microCredits, expiresMs: null })
    },
    close: async () => {
      await parts.caches.stop()
      await parts.pubSub.close()
      await parts.database.native.dropDatabase()
      await parts.database.close()
      await cluster.remove()
      await Promise.all([kube.close(), admin.close()])
      await rm(folder, { recursive: true, force: true })
    },
  }
}

type Seen = { readonly published: JobEvent[]; readonly woken: string[] }

/** The parts as composition.ts builds them, but nothing happens by itself. */
async function openParts(deps: ApiCoreDeps, seen: Seen): Promise<CoreParts> {
  const database = await openDatabase({ uri: deps.mongodbUri })
  const { clock } = deps
  const lock = openLease({
    database,
    name: 'migrations',
    holder: 'test',
    durationMs: 60_000,
    clock,
  })
  await migrate({ database, migrations, lock, pause })
  const accountStore = openAccountStore(database)
  const prefix = deps.redisPrefix ?? ''
  const pubSub = openPubSub({ url: deps.redisUrl, prefix, onError: () => {} })
  return {
    ...deps,
    database,
    pubSub,
    people: openPeople({ ...deps, database, pubSub }),
    store: openJobStore(database, clock),
    attempts: openAttemptStore(database),
    pictures: openPictureStore(database),
    accountStore,
    accounts: openAccountService({ ...deps, store: accountStore, hash, pause }),
    quotes: openQuoteStore(database),
    events: {
      publish: (event) => seen.published.push(event),
      onJob: () => ({ close: () => {} }),
      onUser: () => ({ close: () => {} }),
    },
    caches: openCaches(deps) satisfies ResourceCaches,
    dispatcher: { wake: (jobId) => seen.woken.push(jobId), stop: async () => {} },
    hash,
  }
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** With the rights that the api has in a cluster, and no more. */
async function openApiClient(admin: KubeClient, folder: string): Promise<KubeClient> {
  const { server, authority } = readKubeconfig(testEnvironment().kubeconfigPath)
  const { token } = await requestToken(admin, {
    namespace: systemNamespace,
    serviceAccount: serviceAccounts.api,
    audiences: [],
    expirationSeconds: 3600,
  })
  const kubeconfigPath = path.join(folder, 'api.kubeconfig')
  await writeFile(kubeconfigPath, kubeconfigText({ server, authority, user: { token } }))
  return openKubeClient({ kubeconfigPath, userAgent: 'atelier-api-test' })
}

async function createCluster(admin: KubeClient, name: string) {
  const [jobsNamespace, kubectlNamespace] = [`${name}-jobs`, `${name}-kubectl`]
  const [department, model] = [`${name}-d`, `${name}-m`]
  await createObject(admin, namespaces, { metadata: { name: jobsNamespace } })
  await createObject(admin, namespaces, {
    metadata: { name: kubectlNamespace, labels: { [labels.department]: department } },
  })
  const spec = { weight: 100, namespace: jobsNamespace, managedBy: 'api' } as const
  const metadata = { name: department, labels: { [labels.installation]: name } }
  await createObject(admin, departments, { metadata, spec })
  await createObject(admin, models, { metadata: { name: model }, spec: modelSpec })
  return {
    department,
    model,
    jobsNamespace,
    kubectlNamespace,
    remove: async () => {
      await deleteObject(admin, models, { name: model })
      await deleteObject(admin, departments, { name: department })
      for (const one of [jobsNamespace, kubectlNamespace]) {
        await deleteObject(admin, namespaces, { name: one })
      }
    },
  }
}

export const modelSpec: ModelSpec = {
  type: 'Base',
  family: 'StableDiffusion1',
  licence: 'Apache-2.0',
  tasks: ['TextToImage'],
  delivery: { type: 'Embedded', embedded: { path: 'demo' } },
  defaults: { width: 64, height: 64, steps: 20, guidanceScale: 3, scheduler: 'DPM++ 2M Karras' },
  sizes: {
    width: { min: 32, max: 128, multipleOf: 8 },
    height: { min: 32, max: 128, multipleOf: 8 },
  },
  price: { perImageMicroCredits: perImage },
  resources: { gpus: 1, cpu: '500m', memory: '1Gi' },
  runsOn: ['Gpu', 'Cpu'],
  visibility: 'Public',
}
