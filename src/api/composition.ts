import { createHash } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import type { KubeClient } from '../platform/kube/client.ts'
import type { Lister } from '../platform/kube/list-watch.ts'
import { listObjects } from '../platform/kube/objects.ts'
import { generationJobs } from '../platform/kube/resources.ts'
import { type Database, openDatabase } from '../platform/mongo/database.ts'
import { openLease } from '../platform/mongo/lease.ts'
import { migrate } from '../platform/mongo/migrate.ts'
import { signUrl } from '../platform/objects/signed-url.ts'
import type { ObjectStore } from '../platform/objects/store.ts'
import { openPubSub, type PubSub } from '../platform/redis/pub-sub.ts'
import type { Department } from '../shared/crd/department.ts'
import type { Model } from '../shared/crd/model.ts'
import { newJobId } from '../shared/domain/job-id.ts'
import { type AccountService, openAccountService } from './features/accounts/service.ts'
import { type AccountStore, openAccountStore } from './features/accounts/store.ts'
import { openPictureStore, type PictureStore } from './features/artifacts/picture-store.ts'
import { type DepartmentSync, startDepartmentSync } from './features/departments/sync.ts'
import { openAttemptStore } from './features/jobs/attempts.ts'
import { startDispatcher } from './features/jobs/dispatcher.ts'
import { type JobEvents, openJobEvents } from './features/jobs/events.ts'
import { forgetKeysTask } from './features/jobs/idempotency.ts'
import { type JobService, openJobService } from './features/jobs/service.ts'
import { retentionTask } from './features/jobs/retention.ts'
import { type JobStore, openJobStore } from './features/jobs/store.ts'
import type { LinkObject } from './features/jobs/view.ts'
import { noLeader } from './features/queue/leader.ts'
import { openQueueDesk } from './features/queue/service.ts'
import { createQuoteService, type QuoteService } from './features/quotes/service.ts'
import { forgetQuotesTask, openQuoteStore } from './features/quotes/store.ts'
import { createSimulationService, type SimulationService } from './features/simulations/service.ts'
import { buildInternal } from './internal/build.ts'
import { registerInternal } from './internal/routes.ts'
import { openCaches } from './caches.ts'
import type { ApiCoreDeps, CoreParts } from './core-parts.ts'
import { migrations } from './migrations/index.ts'
import { type LeaderTask, openPeople, type People } from './people.ts'
import { type AuditReport, openAuditor } from './tasks/audit/auditor.ts'
import {
  type LedgerFigures,
  type LedgerWatch,
  openLedgerWatch,
} from './tasks/audit/ledger-watch.ts'
import { auditDepsOf } from './tasks/audit/open.ts'
import { startTasks, type Tasks } from './tasks/start-tasks.ts'

export type { ApiCoreDeps, CoreLog } from './core-parts.ts'

/** Everything below the public routes. */
export type ApiCore = {
  readonly database: Database
  readonly pubSub: PubSub
  readonly people: People
  readonly accounts: AccountService
  readonly accountStore: AccountStore
  readonly jobs: JobService
  readonly quotes: QuoteService
  readonly simulations: SimulationService
  /** For counting open jobs. */
  readonly jobStore: Pick<JobStore, 'countOpen'>
  readonly events: JobEvents
  readonly models: Lister<Model>
  readonly departments: Lister<Department>
  readonly departmentSync: DepartmentSync
  readonly objects: ObjectStore
  readonly pictures: PictureStore
  readonly linkObject: LinkObject
  /** Registers /internal/v1/* on the app of the internal port (errors: registerProblems). */
  readonly registerInternal: (app: FastifyInstance) => void
  /** Differences between rows, resources, holds, entries and objects. Changes nothing. */
  readonly audit: () => Promise<AuditReport>
  /** What the elected replica knows of the ledger; null on every other one. */
  readonly ledgerFigures: () => LedgerFigures | null
  /** True when the database answered lately and the caches have been filled. */
  readonly isReady: () => boolean
  /** Starts background tasks; resolves when the caches have been filled. */
  readonly start: (leaderTasks?: readonly LeaderTask[]) => Promise<void>
  /** Ends tasks, waits for running dispatches, closes connections. */
  readonly close: () => Promise<void>
}

const artifactLinkMs = 3_600_000
const leaseMs = 10_000
const migrationLockMs = 600_000

/** Connects, migrates and builds stores, services and tasks; watches begin, writes do not. */
export async function openApiCore(deps: ApiCoreDeps): Promise<ApiCore> {
  const database = await openDatabase({ uri: deps.mongodbUri })
  await migrateDatabase(deps, database)
  const parts = buildParts(deps, database)
  const linkObject: LinkObject = (key) => {
    const expiresMs = deps.clock.nowMs() + artifactLinkMs
    return signUrl(`${deps.publicUrl}/v1/objects`, { method: 'GET', key, expiresMs }, deps.urlKey)
  }
  const wakeDispatcher = parts.dispatcher.wake
  const models = parts.caches.models.lister
  const { leader = noLeader } = deps
  const known = { ...parts, models, departments: parts.caches.departments.lister, leader }
  const queue = openQueueDesk(leader)
  const jobs = openJobService({ ...known, linkObject, queue, wakeDispatcher })
  const departmentSync = openDepartmentSync(parts)
  const internal = buildInternal(parts)
  const closing = new AbortController()
  const auditParts = { ...parts, departmentStore: parts.people.departments }
  const auditDeps = auditDepsOf({ ...auditParts, signal: closing.signal })
  const ledgerWatch = openLedgerWatch({ ...parts, auditor: openAuditor(auditDeps) })
  let tasks: Tasks | null = null
  return {
    database,
    pubSub: parts.pubSub,
    people: parts.people,
    jobs,
    quotes: createQuoteService(known),
    simulations: createSimulationService(known),
    jobStore: parts.store,
    accounts: parts.accounts,
    accountStore: parts.accountStore,
    events: parts.events,
    objects: deps.objects,
    pictures: parts.pictures,
    linkObject,
    models,
    departments: known.departments,
    departmentSync,
    registerInternal: (app) => registerInternal(app, internal),
    audit: async () => await openAuditor(auditDeps).full(),
    ledgerFigures: () => (tasks?.isLeader() === true ? ledgerWatch.figures() : null),
    isReady: () => parts.caches.isSynced() && tasks?.reachesDatabase() === true,
    start: async (leaderTasks = []) => {
      tasks = startCoreTasks({ ...parts, departmentSync, ledgerWatch }, leaderTasks)
      parts.caches.onJobChange(tasks.onJobChange)
      parts.caches.onDepartmentChange(tasks.onDepartmentChange)
      await parts.caches.synced()
    },
    close: async () => {
      closing.abort()
      await tasks?.stop()
      await Promise.all([parts.dispatcher.stop(), departmentSync.stop(), parts.caches.stop()])
      await parts.pubSub.close()
      await database.close()
    },
  }
}

async function migrateDatabase(deps: ApiCoreDeps, database: Database): Promise<void> {
  const holder = newHolder(deps)
  const name = 'migrations'
  const lock = openLease({ database, name, holder, durationMs: migrationLockMs, clock: deps.clock })
  await migrate({ database, migrations, lock, pause: async (ms) => await pause(ms) })
}

function buildParts(deps: ApiCoreDeps, database: Database): CoreParts {
  const pubSub = openPubSub({
    url: deps.redisUrl,
    prefix: deps.redisPrefix ?? 'atelier:',
    onError: (error) => deps.log.warn({ err: error }, 'Redis does not answer'),
  })
  const accountStore = openAccountStore(database)
  const accounts = openAccountService({
    store: accountStore,
    clock: deps.clock,
    hash,
    random: deps.random,
    pause: async (ms) => await pause(ms),
  })
  const store = openJobStore(database, deps.clock)
  const events = openJobEvents(pubSub)
  return {
    ...deps,
    database,
    pubSub,
    people: openPeople({ ...deps, database, pubSub }),
    store,
    attempts: openAttemptStore(database),
    pictures: openPictureStore(database),
    accountStore,
    accounts,
    quotes: openQuoteStore(database),
    events,
    caches: openCaches(deps),
    dispatcher: startDispatcher({ ...deps, store, accounts, events }),
    hash,
  }
}

function openDepartmentSync(parts: CoreParts): DepartmentSync {
  const { people, caches, installation } = parts
  return startDepartmentSync({
    ...parts,
    ...people,
    store: people.departments,
    resources: caches.departments.lister,
    installation,
  })
}

type TaskParts = CoreParts & {
  readonly departmentSync: DepartmentSync
  readonly ledgerWatch: LedgerWatch
}

function startCoreTasks(parts: TaskParts, leaderTasks: readonly LeaderTask[]): Tasks {
  const { database, clock, log, kube, people } = parts
  const holder = newHolder(parts)
  return startTasks({
    ...parts,
    leaderTasks: [
      ...people.leaderTasks,
      retentionTask(parts),
      forgetKeysTask(parts),
      forgetQuotesTask(parts),
      ...leaderTasks,
    ],
    jobs: parts.caches.jobs.lister,
    lease: openLease({ database, name: 'tasks', holder, durationMs: leaseMs, clock }),
    listJobs: () => listAllJobs(kube),
    onTaskError: (error, task) => log.warn({ err: error, task }, 'a task failed and will go on'),
  })
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

async function listAllJobs(kube: KubeClient) {
  return await listObjects(kube, generationJobs)
}

function newHolder({ clock, randomBytes }: ApiCoreDeps): string {
  return newJobId(clock.nowMs(), randomBytes)
}
