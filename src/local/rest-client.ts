import { z } from 'zod'
import { AppError } from '../shared/errors.ts'
import type { JobRequest } from '../shared/wire/job-requests.ts'
import { jobView, type JobView } from '../shared/wire/jobs.ts'
import { sessionView } from '../shared/wire/sessions.ts'
import { serverSentEvents } from './server-sent-events.ts'

/** The public REST API as a client outside of the project would use it. */
export type RestClient = {
  readonly submit: (request: JobRequest, idempotencyKey: string) => Promise<JobView>
  /** Snapshots of the job until it ends; the connection is opened again when it breaks. */
  readonly watch: (job: JobView) => AsyncIterable<JobView>
  readonly download: (url: string) => Promise<Uint8Array>
}

const requestTimeoutMs = 15_000
const reconnects = 20
const bearerSession = sessionView.extend({ accessToken: z.string() })
const problem = z.object({ title: z.string(), detail: z.string().optional() })
const progressEvent = jobView.shape.progress.unwrap()
const terminal: readonly string[] = ['Completed', 'Cancelled', 'Failed']

type Connection = {
  readonly apiUrl: string
  readonly token: string
  readonly signal: AbortSignal
}

export async function signIn(
  apiUrl: string,
  account: { readonly email: string; readonly password: string },
  signal: AbortSignal,
): Promise<RestClient> {
  const anonymous = { apiUrl, token: '', signal }
  const { email, password } = account
  const answer = await send(anonymous, '/v1/sessions', post({ email, password }))
  const { accessToken } = bearerSession.parse(await answer.json())
  const connection = { apiUrl, token: accessToken, signal }
  return {
    submit: async (request, idempotencyKey) => {
      const headers = { 'idempotency-key': idempotencyKey }
      const response = await send(connection, '/v1/jobs', post(request, headers))
      return jobView.parse(await response.json())
    },
    watch: (job) => watch(connection, job),
    download: async (url) => {
      // The link's signature is all the permission that it needs.
      const response = await send({ ...connection, token: '' }, url, {})
      return response.bytes()
    },
  }
}

export function hasEnded({ state }: JobView): boolean {
  return terminal.includes(state)
}

async function* watch(connection: Connection, first: JobView): AsyncGenerator<JobView> {
  let job = first
  for (let attempt = 0; attempt < reconnects && !hasEnded(job); attempt += 1) {
    for await (const event of openEvents(connection, job)) {
      job = afterEvent(job, event)
      yield job
      if (hasEnded(job)) return
    }
  }
}

async function* openEvents(connection: Connection, job: JobView) {
  const response = await send(connection, job.urls.events, {
    headers: { accept: 'text/event-stream' },
  })
  if (response.body === null) return
  yield* serverSentEvents(response.body)
}

function afterEvent(
  job: JobView,
  event: { readonly name: string; readonly data: string },
): JobView {
  if (event.name === 'job') return jobView.parse(JSON.parse(event.data))
  if (event.name !== 'progress') return job
  return { ...job, progress: progressEvent.parse(JSON.parse(event.data)) }
}

function post(body: object, headers: Readonly<Record<string, string>> = {}): RequestInit {
  return {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  }
}

async function send(
  { apiUrl, token, signal }: Connection,
  path: string,
  init: RequestInit,
): Promise<Response> {
  const headers = new Headers(init.headers)
  if (token !== '') headers.set('authorization', `Bearer ${token}`)
  // An event stream lives longer than a request; the api's heartbeat and `signal` end it.
  const isStream = headers.get('accept') === 'text/event-stream'
  const limit = isStream ? signal : AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)])
  const response = await fetch(new URL(path, apiUrl), { ...init, headers, signal: limit })
  if (response.ok) return response
  throw new AppError('platform.unavailable', await describe(path, response))
}

async function describe(path: string, response: Response): Promise<string> {
  const text = await response.text()
  const parsed = problem.safeParse(parseJson(text))
  const reason = parsed.success
    ? [parsed.data.title, parsed.data.detail].filter((part) => part !== undefined).join(': ')
    : text.slice(0, 200)
  return `the api answered ${response.status} to ${new URL(path, response.url).pathname}: ${reason}`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
