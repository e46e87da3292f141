import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { LedgerFigures } from './tasks/audit/ledger-watch.ts'

/** Everything that the api counts about its public port. No label names a person or a job. */
export type ApiMetrics = {
  readonly requestSeconds: Histogram<'route' | 'method' | 'status'>
  readonly signIns: Counter<'outcome'>
  readonly jobSubmissions: Counter<'task' | 'outcome'>
  readonly pictureUploads: Counter<'outcome'>
  readonly pictureUploadBytes: Counter
  readonly eventStreams: Gauge
  readonly eventStreamEnds: Counter<'reason'>
  readonly sockets: Gauge
  readonly socketEnds: Counter<'reason'>
  readonly socketMessages: Counter
  readonly tasks: Counter<'task' | 'outcome'>
  readonly tasksWaiting: Gauge
  readonly mails: Counter<'template' | 'outcome'>
  readonly leaderQuestions: Counter<'question' | 'outcome'>
}

export function createApiMetrics(registry: Registry): ApiMetrics {
  const registers = [registry]
  return {
    requestSeconds: new Histogram({
      name: 'atelier_api_request_seconds',
      help: 'Time from a request to its answer, by route template and status class',
      labelNames: ['route', 'method', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60],
      registers,
    }),
    signIns: new Counter({
      name: 'atelier_api_sign_ins_total',
      help: 'Sign-ins by outcome: accepted, refused or failed',
      labelNames: ['outcome'],
      registers,
    }),
    jobSubmissions: new Counter({
      name: 'atelier_api_job_submissions_total',
      help: 'Submitted jobs by task and outcome: accepted, replayed or the code of the refusal',
      labelNames: ['task', 'outcome'],
      registers,
    }),
    pictureUploads: new Counter({
      name: 'atelier_api_picture_uploads_total',
      help: 'Uploaded pictures by outcome: accepted or the code of the refusal',
      labelNames: ['outcome'],
      registers,
    }),
    pictureUploadBytes: new Counter({
      name: 'atelier_api_picture_upload_bytes_total',
      help: 'Bytes of the accepted pictures',
      registers,
    }),
    eventStreams: new Gauge({
      name: 'atelier_api_event_streams',
      help: 'Open event streams',
      registers,
    }),
    eventStreamEnds: new Counter({
      name: 'atelier_api_event_stream_ends_total',
      help: 'Ended event streams by reason',
      labelNames: ['reason'],
      registers,
    }),
    ...socketMetrics(registers),
    ...queueMetrics(registers),
    leaderQuestions: new Counter({
      name: 'atelier_api_leader_questions_total',
      help: 'Questions to the controller about its queue, by what became of them',
      labelNames: ['question', 'outcome'],
      registers,
    }),
  }
}

function socketMetrics(
  registers: readonly Registry[],
): Pick<ApiMetrics, 'sockets' | 'socketEnds' | 'socketMessages'> {
  return {
    sockets: new Gauge({
      name: 'atelier_api_sockets',
      help: 'Open WebSockets',
      registers: [...registers],
    }),
    socketEnds: new Counter({
      name: 'atelier_api_socket_ends_total',
      help: 'Ended WebSockets by reason',
      labelNames: ['reason'],
      registers: [...registers],
    }),
    socketMessages: new Counter({
      name: 'atelier_api_socket_messages_total',
      help: 'Messages sent over WebSockets',
      registers: [...registers],
    }),
  }
}

function queueMetrics(
  registers: readonly Registry[],
): Pick<ApiMetrics, 'tasks' | 'tasksWaiting' | 'mails'> {
  return {
    tasks: new Counter({
      name: 'atelier_api_tasks_total',
      help: 'Tasks of the queue by outcome: done, retried, failed or stalled',
      labelNames: ['task', 'outcome'],
      registers: [...registers],
    }),
    tasksWaiting: new Gauge({
      name: 'atelier_api_tasks_waiting',
      help: 'Tasks in the queue that wait for a replica or for their next attempt',
      registers: [...registers],
    }),
    mails: new Counter({
      name: 'atelier_api_mails_total',
      help: 'Mails by template and outcome: sent, postponed, refused or expired',
      labelNames: ['template', 'outcome'],
      registers: [...registers],
    }),
  }
}

/**
 * What the elected replica knows of the ledger, asked for by each scrape. The others export no
 * sample, and neither does it before its first audit: nobody may take that for a drift of 0.
 */
export function exportLedgerFigures(registry: Registry, read: () => LedgerFigures | null): void {
  const registers = [registry]
  const drift: Gauge<'kind'> = new Gauge({
    name: 'atelier_ledger_drift',
    help: 'Differences that the last audit found, by kind',
    labelNames: ['kind'],
    registers,
    collect: () => {
      drift.reset()
      for (const [kind, count] of read()?.drift ?? []) drift.set({ kind }, count)
    },
  })
  const single = (
    name: string,
    help: string,
    valueOf: (figures: LedgerFigures) => number | null,
  ) => {
    const gauge: Gauge = new Gauge({
      name,
      help,
      registers,
      collect: () => {
        const figures = read()
        const value = figures === null ? null : valueOf(figures)
        if (value === null) gauge.remove()
        else gauge.set(value)
      },
    })
  }
  single(
    'atelier_ledger_outbox_oldest_seconds',
    'Age of the oldest entry that waits to be relayed, 0 when none does',
    ({ outboxOldestSeconds }) => outboxOldestSeconds,
  )
  single(
    'atelier_ledger_audit_seconds',
    'How long the last audit took',
    ({ audit }) => audit?.seconds ?? null,
  )
  single(
    'atelier_ledger_audit_finish_timestamp_seconds',
    'When the last audit finished, in seconds since 1970',
    ({ audit }) => (audit === null ? null : audit.finishTimeMs / 1000),
  )
}
