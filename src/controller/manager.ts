import type { KubeClient } from '../platform/kube/client.ts'
import { startEventRecorder } from '../platform/kube/events.ts'
import { guardWrites } from '../platform/kube/guarded-client.ts'
import type { Election } from '../platform/kube/lease.ts'
import { keyOf } from '../platform/kube/resources.ts'
import {
  startWorkQueue,
  type WorkQueue,
  type WorkQueueOptions,
} from '../platform/kube/work-queue.ts'
import type { Clock } from '../shared/clock.ts'
import type { ApiClient } from './api-client.ts'
import { type CacheOptions, type RunningCaches, startCaches } from './caches.ts'
import { reconcileDepartment } from './department/reconcile.ts'
import type { AdmissionBoard } from './generation-job/admission-board.ts'
import { registerGenerationJobs } from './generation-job/register.ts'
import { Kueue } from './kueue/kueue.ts'
import { QUEUE_CONCURRENCY, RETRIES_BURST, RETRIES_PER_SECOND } from './limits.ts'
import { kueueListenersOf, listenersOf, type Wired } from './listeners.ts'
import type { ControllerMetrics, QueueName } from './metrics.ts'
import { registerModelPools } from './model-pool/register.ts'
import { reconcileModel } from './model/reconcile.ts'
import { openPoolClient } from './pool-client.ts'
import { type QueueAnswers, QueueDesk } from './queue/desk.ts'
import type { ControllerSettings } from './settings.ts'
import { startStandbyCaches } from './standby-caches.ts'

/** Whether this process, of several, is the one that works. */
export type Leadership = Pick<Election, 'leading' | 'isLeading'>

export type ControllerOptions = {
  readonly client: KubeClient
  /** Absent: there is no other controller. */
  readonly leadership?: Leadership | undefined
  readonly api: ApiClient
  readonly settings: ControllerSettings
  /** Only this namespace's jobs are looked after; absent means all. */
  readonly watchNamespace?: string | undefined
  readonly metrics: ControllerMetrics
  readonly clock: Clock
  readonly random: () => number
  /** Unpredictable: for keys. */
  readonly randomBytes: (length: number) => Uint8Array
  /** Told of every fault that is tried again. */
  readonly onError: (error: unknown, fields: object) => void
  /** Only tests change them. */
  readonly watchLimits?: CacheOptions['limits']
}

export type Controller = {
  /** Every cache is complete and this process leads: decisions are made from now on. */
  readonly started: () => Promise<void>
  /** Every cache is complete: it works, or can begin at once when it is to lead. */
  readonly isReady: () => boolean
  /** What it says about its queue; undefined while it does not lead. */
  readonly queue: () => QueueAnswers | undefined
  /** Ends the running reconciles and the watches. Job pods go on. */
  readonly stop: () => Promise<void>
}

const alone: Leadership = { leading: () => Promise.resolve(), isLeading: () => true }

/**
 * Starts the watches at once, and the work when all of them know their kind completely and this
 * process leads. It writes nothing when it does not, or does no longer.
 */
export function startController(given: ControllerOptions): Controller {
  const { leadership = alone } = given
  const options = { ...given, client: guardWrites(given.client, leadership.isLeading) }
  const { client, clock, random, settings, metrics } = options
  const onError = (error: unknown) => {
    metrics.watchFailed()
    options.onError(error, { part: 'watch' })
  }
  metrics.leadingFrom(leadership.isLeading)
  const wired: { current?: Wired & Stoppable } = {}
  let isStopped = false
  const { watchNamespace: namespace, watchLimits: limits } = options
  const watching = { client, clock, random, namespace, limits, onError }
  const { nodeSelector, kueueLocalQueue: localQueue } = settings
  const open = () => startCaches({ ...watching, nodeSelector }, listenersOf(wired))
  const watches = startStandbyCaches(open, leadership)
  const kueue = new Kueue({ ...watching, localQueue, ...kueueListenersOf(wired) })
  kueue.start()
  const start = async () => {
    const [caches] = await Promise.all([watches.toLeadWith(), kueue.synced()])
    if (!isStopped) wired.current = wire(options, caches, kueue)
  }
  const started = start()
  // Whoever stops a controller before it has started is not interested in that.
  started.catch(() => undefined)
  return {
    started: async () => await started,
    isReady: () => watches.isSynced() && kueue.isSynced(),
    queue: () => (leadership.isLeading() ? wired.current?.queueDesk : undefined),
    stop: async () => {
      isStopped = true
      await Promise.all([watches.stop(), kueue.stop()])
      await wired.current?.stop()
    },
  }
}

type Stoppable = { readonly queueDesk: QueueDesk; readonly stop: () => Promise<void> }

function wire(
  options: ControllerOptions,
  { caches }: RunningCaches,
  kueue: Kueue,
): Wired & Stoppable {
  const { client, clock, random, metrics, onError } = options
  const events = startEventRecorder({
    client,
    component: 'atelier-controller',
    clock,
    random,
    onError: (error) => onError(error, { part: 'events' }),
  })
  const poolClient = openPoolClient({ kube: client, clock })
  const admission: { board?: AdmissionBoard } = {}
  const pools = registerModelPools({
    parts: { ...options, caches, events },
    poolClient,
    startQueue: (name, reconcile) => startQueue(options, name, { reconcile }),
    onChange: () => admission.board?.touch(),
  })
  const generationJobs = registerGenerationJobs({
    parts: { ...options, caches, events, kueue },
    pools,
    poolClient,
    random,
    startQueue: (work) => startQueue(options, 'generation-job', work),
    onError: (error, part) => onError(error, { part }),
  })
  admission.board = generationJobs.board
  const queues = {
    'generation-job': generationJobs.queue,
    'model-pool': pools.queue,
    'pool-pod': pools.states.queue,
    model: startQueue(options, 'model', {
      reconcile: async (name) =>
        await reconcileModel({ client, caches, settings: options.settings, clock }, name),
    }),
    department: startQueue(options, 'department', {
      reconcile: async (name) => await reconcileDepartment({ client, caches, clock }, name),
    }),
  }
  const queueDesk = new QueueDesk({
    ...options,
    caches,
    board: generationJobs.board,
    pools: pools.board,
  })
  queueDesk.learn()
  metrics.readFrom({
    queueDepth: (queue) => queues[queue].depth(),
    gpus: () => generationJobs.board.gpus(),
  })
  enqueueAll(queues, caches)
  return {
    caches,
    queues,
    board: generationJobs.board,
    pools,
    queueDesk,
    stop: async () => {
      queueDesk.stop()
      await pools.states.stop()
      await Promise.all(Object.values(queues).map(async (queue) => await queue.stop()))
      await generationJobs.stop()
      await poolClient.close()
      await events.close()
    },
  }
}

function startQueue(
  { clock, random, metrics, onError }: ControllerOptions,
  name: QueueName,
  work: Pick<WorkQueueOptions, 'reconcile' | 'groupOf'>,
): WorkQueue {
  return startWorkQueue({
    ...work,
    concurrency: QUEUE_CONCURRENCY,
    clock,
    random,
    retryRate: { perSecond: RETRIES_PER_SECOND, burst: RETRIES_BURST },
    onReconciled: metrics.reconciled(name),
    onError: (error, key) => {
      metrics.reconcileFailed(name)
      onError(error, { part: name, key })
    },
  })
}

/** What changed before the work began was not listened to. */
function enqueueAll(queues: Wired['queues'], caches: Wired['caches']): void {
  const { generationJobs, models, departments, modelPools, poolPods } = caches
  for (const { metadata } of generationJobs.list()) {
    queues['generation-job'].add(`${metadata.namespace}/${metadata.name}`)
  }
  for (const { metadata } of models.list()) queues.model.add(metadata.name)
  for (const { metadata } of departments.list()) queues.department.add(metadata.name)
  for (const pool of modelPools.list()) queues['model-pool'].add(keyOf(pool))
  for (const { metadata } of poolPods.list()) queues['pool-pod'].add(metadata.uid)
}
