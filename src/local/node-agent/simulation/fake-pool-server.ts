import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { z } from 'zod'
import {
  type Answer,
  parseJson,
  problemAnswer,
  readBody,
  send,
} from '../../../platform/http/json-messages.ts'
import { check } from '../../../shared/wire/field-errors.ts'
import { listenOn } from '../../../platform/http/listen.ts'
import { signatureFault } from '../../../platform/http/request-signature.ts'
import type { Clock } from '../../../shared/clock.ts'
import { AppError } from '../../../shared/errors.ts'
import { assignment, assignmentWaitSecondsMax, poolPodPrefix } from '../../../shared/wire/pool.ts'
import type { FakePoolPod } from './fake-pool-pod.ts'

export type FakePoolServerOptions = {
  readonly pod: FakePoolPod
  readonly host: string
  readonly port: number
  /** Signs every request but the probes. */
  readonly key: Uint8Array
  readonly clock: Clock
  readonly onError: (error: unknown) => void
}

export type FakePoolServer = {
  readonly port: number
  readonly close: () => Promise<void>
}

/** What it is shows in each of its answers. */
const name = 'fake-pool-pod'
const bodyBytesMax = 16 * 1024
/** Longer than the longest poll. */
const socketTimeoutMs = 75_000

const attempt = z.coerce.number().int().min(1).max(1000)
const attemptQuery = z.strictObject({ attempt })
const waitQuery = z.strictObject({
  attempt,
  waitSeconds: z.coerce.number().int().min(0).max(assignmentWaitSecondsMax).default(0),
})

/** Serves one fake pool pod at its own address. Rejects when the address is taken. */
export async function startFakePoolServer(options: FakePoolServerOptions): Promise<FakePoolServer> {
  const closing = new AbortController()
  const server = createServer((request, response) => {
    response.setHeader('server', name)
    answer(options, { request, response, closing: closing.signal })
      .catch((error: unknown) => problemAnswer(error, name))
      .then((given) => send(response, given))
      .catch(options.onError)
  })
  server.setTimeout(socketTimeoutMs)
  return {
    port: await listenOn(server, options),
    close: async () => {
      closing.abort()
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        setImmediate(() => server.closeAllConnections())
      })
    },
  }
}

type Exchange = {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly closing: AbortSignal
}

async function answer(options: FakePoolServerOptions, exchange: Exchange): Promise<Answer> {
  const { pod, key, clock } = options
  const { request, response, closing } = exchange
  const { method = 'GET', url: path = '/', headers } = request
  const url = new URL(path, `http://${name}`)
  if (url.pathname === '/healthz') return { status: 200, body: { healthy: true } }
  if (url.pathname === '/readyz') {
    return { status: pod.isReady ? 200 : 503, body: { ready: pod.isReady } }
  }
  const body = await readBody(request, bodyBytesMax)
  const fault = signatureFault({ method, path, body, headers }, key, { nowMs: clock.nowMs() })
  if (fault !== undefined) throw new AppError('auth.invalid_token', 'the signature is not valid')
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const signal = AbortSignal.any([closing, gone.signal])
  return await answerSigned(pod, { method, url, body, signal })
}

type Signed = {
  readonly method: string
  readonly url: URL
  readonly body: string
  readonly signal: AbortSignal
}

const jobPath = new RegExp(`^${poolPodPrefix}/jobs/([A-Za-z0-9-]{1,64})$`)

async function answerSigned(pod: FakePoolPod, request: Signed): Promise<Answer> {
  const { method, url } = request
  const uid = jobPath.exec(url.pathname)?.[1]
  if (uid !== undefined) return await answerJob(pod, { ...request, uid })
  if (url.pathname !== `${poolPodPrefix}/state`) {
    throw new AppError('request.not_found', 'there is no such address')
  }
  if (method !== 'GET') throw new AppError('request.method_not_allowed', 'this address takes GET')
  return { status: 200, body: pod.describe() }
}

async function answerJob(pod: FakePoolPod, request: Signed & { uid: string }): Promise<Answer> {
  const { uid, method, url, body, signal } = request
  const query = Object.fromEntries(url.searchParams)
  if (method === 'PUT') {
    return { status: 200, body: pod.put(uid, check(assignment, parseJson(body))) }
  }
  if (method === 'GET') {
    const { waitSeconds, ...rest } = check(waitQuery, query)
    return { status: 200, body: await pod.wait({ uid, ...rest }, waitSeconds * 1000, signal) }
  }
  if (method !== 'DELETE') {
    throw new AppError('request.method_not_allowed', 'this address takes PUT, GET, DELETE')
  }
  pod.drop({ uid, ...check(attemptQuery, query) })
  return { status: 204 }
}
