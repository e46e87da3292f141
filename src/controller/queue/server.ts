import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { ListenAddress } from '../../platform/config/fields.ts'
import {
  type Answer,
  parseJson,
  problemAnswer,
  readBody,
  send,
} from '../../platform/http/json-messages.ts'
import { closeAtOnce, listenOn } from '../../platform/http/listen.ts'
import { serviceAccountOf, type TokenReader } from '../../platform/kube/token-reader.ts'
import { AppError } from '../../shared/errors.ts'
import { serviceAccounts, systemNamespace } from '../../shared/names.ts'
import { check } from '../../shared/wire/field-errors.ts'
import { explainRequest, queuePrefix, simulateRequest } from '../../shared/wire/queue.ts'
import { QUEUE_BODY_BYTES_MAX, QUEUE_CONNECTIONS_MAX, QUEUE_REQUEST_TIMEOUT_MS } from '../limits.ts'
import type { QueueAnswers } from './desk.ts'

export type QueueServerOptions = {
  readonly listen: ListenAddress
  /** Of the audience `controllerAudience` only. */
  readonly tokens: TokenReader
  /** Undefined while this process does not lead. */
  readonly answers: () => QueueAnswers | undefined
  /** Of an answer, so that it is found in the log. */
  readonly newId: () => string
  readonly onAnswer: (question: 'explain' | 'simulate' | 'other', status: number) => void
  /** Told of faults that are not the caller's. */
  readonly onError: (error: unknown) => void
}

export type QueueServer = {
  /** Where it listens, with the port that was really taken. */
  readonly address: ListenAddress
  readonly close: () => Promise<void>
}

/** Serves `shared/wire/queue.ts` to the api; `platform.misconfigured` when the port is taken. */
export async function startQueueServer(options: QueueServerOptions): Promise<QueueServer> {
  const server = createServer((request, response) => {
    void respond(options, request)
      .catch((error: unknown) => toProblem(options, error))
      .then((answer) => finish(options, response, answer))
      .catch(options.onError)
  })
  server.maxConnections = QUEUE_CONNECTIONS_MAX
  server.headersTimeout = QUEUE_REQUEST_TIMEOUT_MS
  server.requestTimeout = QUEUE_REQUEST_TIMEOUT_MS
  server.keepAliveTimeout = QUEUE_REQUEST_TIMEOUT_MS
  const port = await listenOn(server, options.listen)
  return {
    address: { host: options.listen.host, port },
    close: async () => await closeAtOnce(server),
  }
}

function finish(options: QueueServerOptions, response: ServerResponse, answer: Answer): void {
  options.onAnswer(questionOf(response.req), answer.status)
  send(response, answer)
}

function questionOf({ url }: IncomingMessage): 'explain' | 'simulate' | 'other' {
  if (url === `${queuePrefix}/explain`) return 'explain'
  return url === `${queuePrefix}/simulate` ? 'simulate' : 'other'
}

/** Nobody but the api gets beyond the first lines; who does not lead does not even look at tokens. */
async function respond(options: QueueServerOptions, request: IncomingMessage): Promise<Answer> {
  const question = questionOf(request)
  if (question === 'other') throw new AppError('request.not_found', 'there is nothing here')
  if (request.method !== 'POST') {
    throw new AppError('request.method_not_allowed', 'questions are sent with POST')
  }
  const answers = options.answers()
  if (answers === undefined) throw new AppError('platform.unavailable', 'this is not the leader')
  requireApi(await readAccount(options, request))
  const body = parseJson(await readBody(request, QUEUE_BODY_BYTES_MAX))
  return question === 'explain'
    ? { status: 200, body: await answers.explain(check(explainRequest, body)) }
    : { status: 200, body: await answers.simulate(check(simulateRequest, body)) }
}

async function readAccount({ tokens }: QueueServerOptions, { headers }: IncomingMessage) {
  return serviceAccountOf(await tokens.read(headers.authorization))
}

function requireApi(account: ReturnType<typeof serviceAccountOf>): void {
  if (account?.namespace === systemNamespace && account.name === serviceAccounts.api) return
  throw new AppError('auth.forbidden', 'only the api may ask')
}

function toProblem({ newId, onError }: QueueServerOptions, error: unknown): Answer {
  const answer = problemAnswer(error, newId())
  if (answer.status >= 500 && answer.status !== 503) onError(error)
  return answer
}
