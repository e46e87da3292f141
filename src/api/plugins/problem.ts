import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError, type ErrorCode, errorTable, isAppError } from '../../shared/errors.ts'
import { type Problem, problemOf } from '../../shared/wire/problem.ts'

export const problemContentType = 'application/problem+json'

/** Faults that Fastify itself finds in a request, by its code or else by its status. */
const frameworkFaults: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'request.too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'request.media_type',
  FST_ERR_CTP_INVALID_TYPE: 'request.media_type',
  FST_ERR_HANDLER_TIMEOUT: 'platform.unavailable',
  FST_ERR_NOT_FOUND: 'request.not_found',
}

/** Sentences of our own: the framework's may quote what the client sent. */
const frameworkDetails: Partial<Record<ErrorCode, string>> = {
  'request.invalid': 'the request cannot be read; check its JSON, address and headers',
  'request.too_large': 'the body is larger than this address takes',
  'request.media_type': 'this address takes no body of this media type; most take application/json',
  'platform.unavailable': 'the answer took too long; try again in a moment',
  'request.not_found': 'nothing is served at this address',
}

/** Sends every failure of the app as a problem document; the only place that knows both. */
export function registerProblems(app: FastifyInstance): void {
  app.setErrorHandler((error: FastifyError, request, reply) => {
    const known = toAppError(error)
    if (errorTable[known.code].status >= 500) {
      request.log.error({ err: error }, 'a request failed on our side')
    }
    return sendProblem(request, reply, known)
  })
  app.setNotFoundHandler({ preHandler: [] }, (request, reply) =>
    sendProblem(request, reply, frameworkError('request.not_found', undefined)),
  )
}

export function sendProblem(
  request: FastifyRequest,
  reply: FastifyReply,
  error: AppError,
): FastifyReply {
  const { status } = errorTable[error.code]
  if (status === 401) reply.header('www-authenticate', 'Bearer')
  const retryAfterSeconds = retryAfterOf(error)
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds))
  return reply
    .code(status)
    .header('content-type', problemContentType)
    .header('cache-control', 'no-store')
    .serializer(String)
    .send(JSON.stringify(toProblem(error, request.id)))
}

export function toProblem(error: AppError, instance: string): Problem {
  const errors = error.fields.map(({ path, message }) => ({ path, message }))
  return {
    ...error.details,
    ...problemOf(error.code),
    detail: error.message,
    instance,
    ...(errors.length > 0 && { errors }),
  }
}

/** Total: whatever was thrown becomes an error of the table, and a bug becomes `internal`. */
export function toAppError(error: unknown): AppError {
  if (isAppError(error)) return error
  const { code, statusCode } = readFault(error)
  const named = frameworkFaults[code]
  if (named !== undefined) return frameworkError(named, error)
  if (statusCode >= 400 && statusCode < 500) return frameworkError('request.invalid', error)
  return new AppError('platform.internal', 'the request failed; the log has the cause', {
    cause: error,
  })
}

function frameworkError(code: ErrorCode, cause: unknown): AppError {
  return new AppError(code, frameworkDetails[code] ?? errorTable[code].title, { cause })
}

function readFault(error: unknown): { readonly code: string; readonly statusCode: number } {
  if (!(error instanceof Error)) return { code: '', statusCode: 0 }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const known = 'statusCode' in error && typeof error.statusCode === 'number'
  return { code, statusCode: known ? Number(error.statusCode) : 0 }
}

/** 429 and 503 always say when to come back. */
function retryAfterOf(error: AppError): number | undefined {
  if (error.retryAfterSeconds !== undefined) return error.retryAfterSeconds
  const { status } = errorTable[error.code]
  return status === 503 || status === 429 ? 5 : undefined
}
