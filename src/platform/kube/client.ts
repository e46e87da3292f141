import { Agent, type Dispatcher } from 'undici'
import { AppError } from '../../shared/errors.ts'
import { describeFailure } from './connection-errors.ts'
import { type Credentials, loadCredentials } from './credentials.ts'
import { KubeError, kubeErrorOf } from './errors.ts'
import { splitLines } from './lines.ts'
import { verbOf } from './request-verb.ts'
import { untilAdmitted } from './throttling.ts'

export type Query = Readonly<Record<string, string | number | boolean | undefined>>

export type KubeRequest = {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly query?: Query | undefined
  readonly body?: unknown
  readonly contentType?: string | undefined
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** How often a 429 with Retry-After is waited out, within the time limit; 3 unless told. */
  readonly repetitionsMax?: number | undefined
}

export type KubeStreamRequest = {
  readonly path: string
  readonly query?: Query | undefined
  /** How long the answer's headers may take. */
  readonly timeoutMs?: number | undefined
  /** Ends the stream with an error when nothing arrives for this long. */
  readonly silenceMs: number
  readonly signal?: AbortSignal | undefined
}

/** One finished request, for metrics: labels are bounded (no names, no namespaces). */
export type ObservedRequest = {
  readonly verb: string
  readonly resource: string
  /** HTTP status; 0 when no answer came. */
  readonly status: number
  readonly durationMs: number
}

export type KubeClientOptions = {
  /** Without it the pod's own service account is used. */
  readonly kubeconfigPath?: string | undefined
  readonly userAgent: string
  readonly timeoutMs?: number | undefined
  /** Called once per request; a stream is reported when its headers arrive. */
  readonly observe?: ((request: ObservedRequest) => void) | undefined
}

export type KubeClient = {
  /** Address of the API server, for messages. */
  readonly server: string
  /** Resolves with the decoded answer; throws KubeError, or the signal's reason when aborted. */
  readonly request: <T>(request: KubeRequest) => Promise<T>
  /** Opens a watch or log: resolves when the headers are there, then yields line by line. */
  readonly stream: (request: KubeStreamRequest) => Promise<AsyncIterable<string>>
  /** Cuts every connection. */
  readonly close: () => Promise<void>
}

const DEFAULT_TIMEOUT_MS = 15_000
/** Shorter than the 90 s after which kube-apiserver closes idle connections: no reuse race. */
const KEEP_ALIVE_MS = 30_000

/** Opens a client; reads the kubeconfig at once and fails with `platform.misconfigured`. */
export function openKubeClient(options: KubeClientOptions): KubeClient {
  const credentials = loadCredentials(options.kubeconfigPath)
  // HTTP/1.1: each watch has its own connection, so that one dead connection is one dead watch.
  const agent = new Agent({
    allowH2: false,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connect: { ...credentials.tls, timeout: 10_000 },
  })
  const transport = { agent, credentials, options }
  return {
    server: credentials.server,
    request: async <T>(request: KubeRequest) => {
      const answer = await send(transport, request)
      // The API server guards its own schemas; whoever asks names the type that the path has.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see above
      return answer as T
    },
    stream: async (request) => await openStream(transport, request),
    close: async () => await agent.destroy(),
  }
}

/** What every request of a scoped client inherits. */
export type RequestScope = {
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number | undefined
}

/** The same client, with a signal and a time limit for each request made through it. */
export function scopedClient(client: KubeClient, scope: RequestScope): KubeClient {
  return {
    ...client,
    request: async <T>(request: KubeRequest) => await client.request<T>({ ...scope, ...request }),
    stream: async (request) => await client.stream({ ...scope, ...request }),
  }
}

type Transport = {
  readonly agent: Agent
  readonly credentials: Credentials
  readonly options: KubeClientOptions
}

async function send(transport: Transport, request: KubeRequest): Promise<unknown> {
  const timeoutMs = request.timeoutMs ?? transport.options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  return await withDeadline({ timeoutMs, signal: request.signal }, async (signal) => {
    const { repetitionsMax } = request
    return await untilAdmitted(
      async () => await readJson(await exchange(transport, request, { signal })),
      { timeoutMs, signal, repetitionsMax },
    )
  }).catch((error: unknown) => {
    throw asKubeError(transport, error, request.signal)
  })
}

async function openStream(
  transport: Transport,
  request: KubeStreamRequest,
): Promise<AsyncIterable<string>> {
  const headersTimeout = request.timeoutMs ?? transport.options.timeoutMs ?? DEFAULT_TIMEOUT_MS
  try {
    const answer = await exchange(
      transport,
      { ...request, method: 'GET' },
      { signal: request.signal, headersTimeout, bodyTimeout: request.silenceMs },
    )
    if (answer.statusCode >= 400) await readJson(answer)
    return linesOf(transport, answer, request.signal)
  } catch (error) {
    throw asKubeError(transport, error, request.signal)
  }
}

async function* linesOf(
  transport: Transport,
  answer: Dispatcher.ResponseData,
  signal: AbortSignal | undefined,
): AsyncIterable<string> {
  try {
    yield* splitLines(answer.body)
  } catch (error) {
    throw asKubeError(transport, error, signal)
  } finally {
    answer.body.destroy()
  }
}

type Limits = {
  readonly signal?: AbortSignal | undefined
  readonly headersTimeout?: number
  readonly bodyTimeout?: number
}

/** One HTTP exchange up to the answer's headers. */
async function exchange(
  transport: Transport,
  request: KubeRequest,
  limits: Limits,
): Promise<Dispatcher.ResponseData> {
  const { credentials, options } = transport
  const startedMs = performance.now()
  let status = 0
  try {
    const answer = await transport.agent.request({
      origin: credentials.origin,
      path: credentials.basePath + request.path + queryString(request.query),
      method: request.method,
      headers: await headersOf(transport, request),
      body: request.body === undefined ? null : JSON.stringify(request.body),
      signal: limits.signal ?? null,
      headersTimeout: limits.headersTimeout ?? 0,
      bodyTimeout: limits.bodyTimeout ?? 0,
    })
    status = answer.statusCode
    return answer
  } finally {
    const durationMs = performance.now() - startedMs
    options.observe?.({ ...verbOf(request), status, durationMs })
  }
}

async function headersOf(
  transport: Transport,
  request: KubeRequest,
): Promise<Record<string, string>> {
  const headers: Record<string, string> = {
    accept: 'application/json',
    'user-agent': transport.options.userAgent,
  }
  if (request.body !== undefined) {
    headers['content-type'] = request.contentType ?? 'application/json'
  }
  const token = await transport.credentials.token()
  if (token !== undefined) headers['authorization'] = `Bearer ${token}`
  return headers
}

function queryString(query: Query = {}): string {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) parameters.set(name, String(value))
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`
}

async function readJson(answer: Dispatcher.ResponseData): Promise<unknown> {
  const text = await answer.body.text()
  const body = parseJson(text)
  if (answer.statusCode >= 400) {
    const retryAfterSeconds = parseRetryAfter(answer.headers['retry-after'])
    throw kubeErrorOf({ status: answer.statusCode, body, retryAfterSeconds })
  }
  if (body === undefined) {
    throw new KubeError({
      status: 502,
      reason: 'NotJson',
      message: `the API server's answer is not JSON: ${text.slice(0, 100)}`,
    })
  }
  return body
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Only the form in seconds: kube-apiserver never sends a date. */
function parseRetryAfter(header: string | string[] | undefined): number | undefined {
  if (typeof header !== 'string' || !/^\d{1,6}$/.test(header)) return undefined
  return Number(header)
}

type Deadline = { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined }

/** Runs work with a signal that also fires after the timeout, and leaves no listener behind. */
async function withDeadline<T>(
  { timeoutMs, signal }: Deadline,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController()
  const onAbort = () => controller.abort(signal?.reason)
  const timer = setTimeout(() => {
    controller.abort(
      new KubeError({
        status: 0,
        reason: 'Timeout',
        message: `the API server did not answer within ${timeoutMs / 1000} s`,
      }),
    )
  }, timeoutMs)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    signal?.throwIfAborted()
    return await work(controller.signal)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

function asKubeError(
  transport: Transport,
  error: unknown,
  signal: AbortSignal | undefined,
): unknown {
  if (error instanceof KubeError || error instanceof AppError) return error
  if (signal?.aborted === true) return signal.reason
  return new KubeError({
    status: 0,
    reason: 'Unreachable',
    message: describeFailure(transport.credentials.server, error),
    cause: error,
  })
}
