import type { KubeClient } from '../platform/kube/client.ts'
import { startEventRecorder } from '../platform/kube/events.ts'
import { startWorkQueue, type WorkQueue } from '../platform/kube/work-queue.ts'
import type { Clock } from '../shared/clock.ts'
import type { ApiClient } from './api-client.ts'
import { type RunningCaches, startCaches } from './caches.ts'
import { reconcileDepartment } from './department/reconcile.ts'
import { registerGenerationJobs } from './generation-job/register.ts'
import { QUEUE_CONCURRENCY, RETRIES_BURST, RETRIES_PER_SECOND } from './limits.ts'
import { listenersOf, type Wired } from './listeners.ts'
import type { ControllerMetrics, QueueName } from './metrics.ts'
import { reconcileModel } from './model/reconcile.ts'
import type { ControllerSettings } from './settings.ts'

export type ControllerOptions = {
  readonly client: KubeClient
  readonly api: ApiClient
  readonly settings: ControllerSettings
  /** Only this namespace's jobs are looked after; absent means all. */
  readonly watchNamespace?: string | undefined
  readonly metrics: ControllerMetrics
  readonly clock: Clock
  readonly random: () => number
  /** Told of every fault that is tried again. */
  readonly onError: (error: unknown, fields: object) => void
}

export type Controller = {
  /** Every cache is complete: decisions are made from now on. */
  readonly started: () => Promise<void>
  readonly isReady: () => boolean
  /** Ends the running reconciles and the watches. Job pods go on. */
  readonly stop: () => Promise<void>
}

/** Starts the watches at once, and the work when all of them know their kind completely. */
export function startController(options: ControllerOptions): Controller {
  const { client, clock, random, settings, metrics, onError } = options
  const wired: { current?: Wired & Stoppable } = {}
  const watches = startCaches(
    {
      client,
      clock,
      random,
      namespace: options.watchNamespace,
      nodeSelector: settings.nodeSelector,
      onError: (error) => {
        metrics.watchFailed()
        onError(error, { part: 'watch' })
      },
    },
    listenersOf(wired),
  )
  const start = async () => {
    await watches.synced()
    wired.current = wire(options, watches)
  }
  const started = start()
  // Whoever stops a controller before it has started is not interested in that.
  started.catch(() => undefined)
  return {
    started: async () => await started,
    isReady: () => watches.isSynced() && wired.current !== undefined,
    stop: async () => {
      await watches.stop()
      await wired.current?.stop()
    },
  }
}

type Stoppable = { readonly stop: () => Promise<void> }

function wire(options: ControllerOptions, { caches }: RunningCaches): Wired & Stoppable {
  const { client, clock, random, metrics, onError } = options
  const events = startEventRecorder({
    client,
    component: 'atelier-controller',
    clock,
    random,
    onError: (error) => onError(error, { part: 'events' }),
  })
  const generationJobs = registerGenerationJobs({
    parts: { ...options, caches, events },
    startQueue: (work) => startQueue(options, 'generation-job', work),
    onError: (error) => onError(error, { part: 'admission' }),
  })
  const queues = {
    'generation-job': generationJobs.queue,
    model: startQueue(options, 'model', async (name) =>
      reconcileModel({ client, caches, clock }, name),
    ),
    department: startQueue(options, 'department', async (name) =>
      reconcileDepartment({ client, caches, clock }, name),
    ),
  }
  metrics.readFrom({
    queueDepth: (queue) => queues[queue].depth(),
    gpus: () => generationJobs.board.gpus(),
  })
  enqueueAll(queues, caches)
  return {
    caches,
    queues,
    board: generationJobs.board,
    stop: async () => {
      generationJobs.board.stop()
      await Promise.all(Object.values(queues).map(async (queue) => await queue.stop()))
      await events.close()
    },
  }
}

function startQueue(
  { clock, random, metrics, onError }: ControllerOptions,
  name: QueueName,
  reconcile: Parameters<typeof startWorkQueue>[0]['reconcile'],
): WorkQueue {
  return startWorkQueue({
    reconcile,
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
  const { generationJobs, models, departments } = caches
  for (const { metadata } of generationJobs.list()) {
    queues['generation-job'].add(`${metadata.namespace}/${metadata.name}`)
  }
  for (const { metadata } of models.list()) queues.model.add(metadata.name)
  for (const { metadata } of departments.list()) queues.department.add(metadata.name)
}
