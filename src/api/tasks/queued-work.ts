import { openTaskQueue, type TaskQueue } from '../../platform/queue/queue.ts'
import type { Clock } from '../../shared/clock.ts'
import { type MailDeps, type MailParts, openMail } from '../mail/open-mail.ts'
import type { ApiMetrics } from '../metrics.ts'
import { startPeriodic } from './periodic.ts'
import { routeTasks } from './queue-tasks.ts'

export type QueuedWorkDeps = Omit<MailDeps, 'addTask' | 'metrics'> & {
  readonly redisUrl: string
  /** Prefix of all Redis keys, so that several installations can share one Redis. */
  readonly redisPrefix?: string | undefined
  readonly metrics: Pick<ApiMetrics, 'mails' | 'tasks' | 'tasksWaiting'>
}

export type QueuedWork = Pick<MailParts, 'mailer' | 'leaderTasks'> & {
  readonly close: () => Promise<void>
}

const countEveryMs = 5000

/**
 * The queue of all replicas and what goes through it; this replica takes its share at once.
 * @throws AppError platform.misconfigured unless every task has exactly one handler.
 */
export function openQueuedWork(deps: QueuedWorkDeps): QueuedWork {
  const queue = openQueue(deps)
  const mail = openMail({ ...deps, addTask: queue.add })
  queue.start(routeTasks(mail.handlers))
  const depth = startDepthGauge(queue, deps.metrics)
  return {
    mailer: mail.mailer,
    leaderTasks: mail.leaderTasks,
    close: async () => {
      await depth.stop()
      await queue.close()
      mail.close()
    },
  }
}

function openQueue({ redisUrl, redisPrefix, metrics, log, clock }: QueuedWorkDeps): TaskQueue {
  const mayWarn = rarely(clock)
  return openTaskQueue({
    url: redisUrl,
    prefix: redisPrefix ?? 'atelier:',
    onOutcome: ({ task, outcome }) => metrics.tasks.inc({ task, outcome }),
    onError: (error, task) => {
      if (task !== undefined) log.warn({ err: error, task }, 'a task failed')
      else if (mayWarn()) log.warn({ err: error }, 'the queue does not reach Redis')
    },
  })
}

function startDepthGauge(queue: TaskQueue, { tasksWaiting }: Pick<ApiMetrics, 'tasksWaiting'>) {
  return startPeriodic({
    everyMs: countEveryMs,
    run: async () => {
      const count = await queue.countWaiting()
      if (count !== null) tasksWaiting.set(count)
    },
    onError: () => undefined,
  })
}

const warnEveryMs = 30_000

/** Three connections that try again and again would fill the log. */
function rarely(clock: Clock): () => boolean {
  let nextMs = 0
  return () => {
    const nowMs = clock.nowMs()
    if (nowMs < nextMs) return false
    nextMs = nowMs + warnEveryMs
    return true
  }
}
