import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

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
