import { setTimeout as pause } from 'node:timers/promises'
import { type Job, Queue, Worker } from 'bullmq'
import { Redis } from 'ioredis'

export type QueueOptions = {
  readonly url: string
  /** Put before every key, so that several installations can share one Redis. */
  readonly prefix: string
  /** Told about connection faults and failed tasks; must not throw. */
  readonly onError: (error: unknown, task?: string) => void
  readonly onOutcome: (outcome: TaskOutcome) => void
}

export type TaskOutcome = {
  readonly task: string
  /** `failed`: nobody tries again unless it is added again. `stalled`: its worker went away. */
  readonly outcome: 'done' | 'retried' | 'failed' | 'stalled'
}

/** Does a task for the thing with this key. Is called again when it throws, or after a crash. */
export type RunTask = (task: string, key: string) => Promise<void>

/**
 * Work for all replicas that may be lost with Redis: whoever adds a task keeps a record of it and
 * adds it again later. At most one task of a name and key waits at a time.
 */
export type TaskQueue = {
  /** Returns at once. While Redis is away, or too slow, the task is dropped. */
  readonly add: (task: string, key: string) => void
  /** Begins to take tasks, as soon as Redis is there. */
  readonly start: (run: RunTask) => void
  /** Tasks that nobody runs at the moment; null while Redis is away. */
  readonly countWaiting: () => Promise<number | null>
  /** Waits a while for running tasks; other replicas take those which are left. */
  readonly close: () => Promise<void>
}

const queueName = 'tasks'
/** Above this many unanswered additions new ones are dropped instead of buffered. */
const pendingMax = 1000
const closeMsMax = 10_000
const attempts = 8
/** 1, 2, 4, … 64 seconds, each shortened by up to a half: two minutes in all. */
const backoff = { type: 'exponential', delay: 1000, jitter: 0.5 } as const
const workerLimits = {
  concurrency: 4,
  lockDuration: 60_000,
  stalledInterval: 30_000,
  maxStalledCount: 3,
  runRetryDelay: 2000,
} as const

/** Opens a connection for adding and, with `start`, two for taking. Does not wait for them. */
export function openTaskQueue(options: QueueOptions): TaskQueue {
  const { onError } = options
  let closing = false
  const connection = connectionOptions(() => closing)
  const client = new Redis(options.url, {
    ...connection,
    commandTimeout: 5000,
    enableOfflineQueue: false,
  })
  client.on('error', (error) => onError(error))
  const prefix = `${options.prefix}queue`
  const queue = new Queue(queueName, { connection: client, prefix })
  queue.on('error', (error) => onError(error))
  const add = boundedAdd({ queue, isReady: () => client.status === 'ready', onError })
  let worker: Worker | null = null
  return {
    add,
    start: (run) => {
      const place = { prefix, connection: { ...connection, url: options.url } }
      worker = startWorker(run, { ...options, place })
    },
    countWaiting: async () => {
      if (client.status !== 'ready') return null
      return await queue.getJobCountByTypes('waiting', 'delayed').catch(() => null)
    },
    close: async () => {
      closing = true
      await Promise.race([worker?.close(), pause(closeMsMax, undefined, { ref: false })])
      client.disconnect()
      await queue.close().catch(onError)
    },
  }
}

type Connection = ReturnType<typeof connectionOptions>

function connectionOptions(isClosing: () => boolean) {
  return {
    // BullMQ reads answers in the form of RESP 2.
    protocol: 2,
    connectTimeout: 5000,
    maxRetriesPerRequest: null,
    // Giving up is what lets BullMQ close while Redis is away.
    retryStrategy: (times: number) =>
      isClosing() ? null : Math.min(50 * 2 ** Math.min(times, 6), 2000),
  } as const
}

type Adding = {
  readonly queue: Queue
  readonly isReady: () => boolean
  readonly onError: (error: unknown) => void
}

function boundedAdd({ queue, isReady, onError }: Adding): TaskQueue['add'] {
  let pending = 0
  return (task, key) => {
    if (!isReady() || pending >= pendingMax) return
    pending += 1
    const jobId = `${task}-${key}`
    // Ended tasks leave at once: their id must be free for the next time.
    const removal = { removeOnComplete: true, removeOnFail: true }
    void queue
      .add(task, { key }, { jobId, attempts, backoff, stackTraceLimit: 1, ...removal })
      .catch(onError)
      .finally(() => (pending -= 1))
  }
}

type TaskData = { readonly key: string }

type WorkerParts = QueueOptions & {
  readonly place: {
    readonly prefix: string
    readonly connection: Connection & { readonly url: string }
  }
}

function startWorker(run: RunTask, { place, onError, onOutcome }: WorkerParts): Worker {
  const process = async ({ name, data }: Job<TaskData>): Promise<void> => {
    try {
      await run(name, data.key)
    } catch (error) {
      onError(error, name)
      // BullMQ writes messages and stacks into Redis, where nobody blanks what must not be seen.
      // oxlint-disable-next-line preserve-caught-error -- see above
      throw new Error('the task failed')
    }
  }
  const worker = new Worker<TaskData, void>(queueName, process, { ...place, ...workerLimits })
  worker.on('completed', ({ name }) => onOutcome({ task: name, outcome: 'done' }))
  worker.on('failed', (job) => {
    if (job === undefined) return
    const isLast = job.finishedOn !== undefined
    onOutcome({ task: job.name, outcome: isLast ? 'failed' : 'retried' })
  })
  worker.on('stalled', (jobId) => {
    onOutcome({ task: jobId.split('-')[0] ?? '', outcome: 'stalled' })
  })
  worker.on('error', (error) => onError(error))
  return worker
}
