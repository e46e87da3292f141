import { type Dispatcher, request } from 'undici'
import type { z } from 'zod'
import { openTokenFile } from '../platform/kube/token-file.ts'
import {
  type AttemptReport,
  attemptReport,
  type Hold,
  hold,
  type HoldRequest,
  internalPrefix,
  type Settlement,
  settlement,
} from '../shared/wire/internal.ts'

/** `Unreachable`: no usable answer came; ask again later. The message is for people. */
export type Answer<T> =
  | { readonly kind: 'Answered'; readonly value: T }
  | { readonly kind: 'Unreachable'; readonly message: string }

/** The controller's questions to the api's internal port. None of them throws but on abort. */
export type ApiClient = {
  /** Idempotent: the same job is asked for as often as needed. */
  readonly putHold: (jobId: string, body: HoldRequest) => Promise<Answer<Hold>>
  readonly getReport: (jobId: string, attempt: number) => Promise<Answer<AttemptReport>>
  readonly getSettlement: (jobId: string) => Promise<Answer<Settlement>>
}

export type ApiClientOptions = {
  readonly baseUrl: string
  readonly tokenFile: string
  readonly timeoutMs: number
  readonly signal: AbortSignal
  readonly dispatcher?: Dispatcher | undefined
}

export function openApiClient({ tokenFile, ...options }: ApiClientOptions): ApiClient {
  const connection = { ...options, token: openTokenFile(tokenFile) }
  return {
    putHold: async (jobId, body) =>
      await ask(connection, { method: 'PUT', path: `${jobPath(jobId)}/hold`, body, schema: hold }),
    getReport: async (jobId, attempt) =>
      await ask(connection, {
        method: 'GET',
        path: `${jobPath(jobId)}/attempts/${attempt}/report`,
        schema: attemptReport,
      }),
    getSettlement: async (jobId) =>
      await ask(connection, {
        method: 'GET',
        path: `${jobPath(jobId)}/settlement`,
        schema: settlement,
      }),
  }
}

function jobPath(jobId: string): string {
  return `${internalPrefix}/jobs/${encodeURIComponent(jobId)}`
}

type Connection = Omit<ApiClientOptions, 'tokenFile'> & { readonly token: () => Promise<string> }

type Question<T> = {
  readonly method: 'GET' | 'PUT'
  readonly path: string
  readonly body?: unknown
  readonly schema: z.ZodType<T>
}

/** Any failure is an answer of its own kind: decisions, not stack traces, deal with a down api. */
async function ask<T>(connection: Connection, question: Question<T>): Promise<Answer<T>> {
  try {
    return await exchange(connection, question)
  } catch (error) {
    if (connection.signal.aborted) throw error
    return { kind: 'Unreachable', message: 'The api does not answer.' }
  }
}

async function exchange<T>(connection: Connection, question: Question<T>): Promise<Answer<T>> {
  const { baseUrl, dispatcher, signal, timeoutMs } = connection
  const answer = await request(new URL(question.path, baseUrl), {
    method: question.method,
    headers: {
      authorization: `Bearer ${await connection.token()}`,
      'content-type': 'application/json',
    },
    body: question.body === undefined ? null : JSON.stringify(question.body),
    signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    ...(dispatcher === undefined ? {} : { dispatcher }),
  })
  const text = await answer.body.text()
  if (answer.statusCode !== 200) {
    return { kind: 'Unreachable', message: `The api answered with status ${answer.statusCode}.` }
  }
  const parsed = question.schema.safeParse(JSON.parse(text))
  if (!parsed.success) {
    return { kind: 'Unreachable', message: 'The api gave an answer that is not understood.' }
  }
  return { kind: 'Answered', value: parsed.data }
}
