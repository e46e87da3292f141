import type { IncomingMessage, ServerResponse } from 'node:http'
import { AppError, errorTable, isAppError } from '../../shared/errors.ts'
import { problemOf } from '../../shared/wire/problem.ts'

export type Answer = {
  readonly status: number
  /** JSON; absent without a body. */
  readonly body?: unknown
  readonly contentType?: string
}

/** The text of a body. @throws AppError request.too_large before more than the bound is kept. */
export async function readBody(request: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  // Destroyed, it could not be answered any more.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const bytes = Buffer.from(chunk)
    sizeBytes += bytes.length
    if (sizeBytes > bytesMax) {
      throw new AppError('request.too_large', `a body has at most ${bytesMax} bytes`)
    }
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** @throws AppError request.invalid */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new AppError('request.invalid', 'the body is not valid JSON', { cause })
  }
}

/** The problem document (RFC 9457) of whatever was thrown; of a bug only that there is one. */
export function problemAnswer(thrown: unknown, instance: string): Answer {
  const error = isAppError(thrown) ? thrown : new AppError('platform.internal', '')
  const { status, title } = errorTable[error.code]
  const isOurs = status >= 500 || status === 401
  const body = {
    ...problemOf(error.code),
    detail: isOurs ? title : error.message,
    instance,
    ...(error.fields.length > 0 && { errors: error.fields }),
  }
  return { status, body, contentType: 'application/problem+json' }
}

export function send(response: ServerResponse, answer: Answer): void {
  const { status, body, contentType = 'application/json' } = answer
  response.setHeader('cache-control', 'no-store')
  // What is left of a body that was refused unread would be taken for the next request.
  if (!response.req.complete) response.setHeader('connection', 'close')
  if (body === undefined) return void response.writeHead(status).end()
  response.writeHead(status, { 'content-type': contentType }).end(JSON.stringify(body))
}
