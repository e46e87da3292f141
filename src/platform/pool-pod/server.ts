import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { ListenAddress } from '../config/fields.ts'
import { type Answer, problemAnswer, readBody, send } from '../http/json-messages.ts'
import { listenOn } from '../http/listen.ts'
import { signatureFault } from '../http/request-signature.ts'
import type { Clock } from '../../shared/clock.ts'
import { AppError, errorTable, isAppError } from '../../shared/errors.ts'
import {
  bodyBytesMax,
  closeTimeoutMs,
  connectionsMax,
  headersTimeoutMs,
  requestTimeoutMs,
  socketTimeoutMs,
} from './limits.ts'
import { answerRequest, type ServedPool } from './routes.ts'

export type PoolServerOptions = {
  readonly listen: ListenAddress
  readonly pool: ServedPool & { readonly isReady: boolean }
  /** Of the header `server` in each answer; without it there is none. */
  readonly name?: string
  /** The key as it is now: it may be replaced at any time. */
  readonly readKey: () => Promise<Uint8Array>
  readonly clock: Clock
  readonly newId: () => string
  readonly onError: (error: unknown, doing: string) => void
}

export type PoolServer = {
  /** Where it listens, with the port that was really taken. */
  readonly address: ListenAddress
  /** Ends waiting requests with what is known, and then every connection. */
  readonly close: () => Promise<void>
}

/** Serves the wire of pool pods; `platform.misconfigured` when the port is taken. */
export async function startPoolServer(options: PoolServerOptions): Promise<PoolServer> {
  const closing = new AbortController()
  const server = createServer((request, response) => {
    if (options.name !== undefined) response.setHeader('server', options.name)
    void respond(options, { request, response, closing: closing.signal })
      .catch((error: unknown) => toProblem(options, error))
      .then((answer) => send(response, answer))
      .catch((error: unknown) => options.onError(error, 'answering a request'))
  })
  server.maxConnections = connectionsMax
  server.headersTimeout = headersTimeoutMs
  server.requestTimeout = requestTimeoutMs
  server.setTimeout(socketTimeoutMs)
  const port = await listenOn(server, options.listen)
  return {
    address: { host: options.listen.host, port },
    close: async () => {
      closing.abort()
      await closeServer(server)
    },
  }
}

type Exchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly closing: AbortSignal
}

/** The probes of the kubelet are not signed; everything else is, before anything is looked at. */
async function respond(options: PoolServerOptions, exchange: Exchange): Promise<Answer> {
  const { pool } = options
  const { request, response, closing } = exchange
  const [method = 'GET', path = '/'] = [request.method, request.url]
  const [place] = path.split('?', 1)
  if (place === '/healthz') return { status: 200, body: { healthy: true } }
  if (place === '/readyz') return readiness(pool.isReady)
  const body = await readBody(request, bodyBytesMax)
  const signed = { method, path, body, headers: request.headers }
  const nowMs = options.clock.nowMs()
  const fault = signatureFault(signed, await options.readKey(), { nowMs })
  if (fault !== undefined) throw new AppError('auth.invalid_token', fault)
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const signal = AbortSignal.any([closing, gone.signal])
  return answerRequest(pool, { method, path, body, signal })
}

function readiness(ready: boolean): Answer {
  return { status: ready ? 200 : 503, body: { ready } }
}

/** An expired signature is a true one: clocks differ, which somebody has to know. */
function toProblem({ newId, onError }: PoolServerOptions, error: unknown): Answer {
  const isOurs = !isAppError(error) || errorTable[error.code].status >= 500
  const isExpired = isAppError(error, 'auth.invalid_token') && error.message === 'Expired'
  if (isOurs || isExpired) onError(error, 'answering a request')
  return problemAnswer(error, newId())
}

async function closeServer(server: Server): Promise<void> {
  const timer = setTimeout(() => server.closeAllConnections(), closeTimeoutMs)
  await new Promise<void>((resolve) => server.close(() => resolve()))
  clearTimeout(timer)
}
