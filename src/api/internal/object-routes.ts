import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ObjectStore } from '../../platform/objects/store.ts'
import { type Grant, verifySignedUrl } from '../../platform/objects/signed-url.ts'
import type { Clock } from '../../shared/clock.ts'
import { AppError } from '../../shared/errors.ts'
import { internalPrefix } from '../../shared/wire/internal.ts'
import type { AttemptStore } from '../features/jobs/attempts.ts'

export type ObjectRouteParts = {
  readonly objects: ObjectStore
  readonly attempts: AttemptStore
  readonly urlKey: Uint8Array
  readonly clock: Clock
}

const objectParams = z.object({ '*': z.string() })
const objectQuery = z.record(z.string(), z.unknown())
/** Pods send and fetch whole pictures here: slow links get ten minutes. */
export const transferMsMax = 600_000

/**
 * Where the links of pods lead: the link is the permission, so there is no token. Bytes are
 * streamed, checked on the way and visible only when all of them are right.
 */
export function registerObjectRoutes(app: FastifyInstance, parts: ObjectRouteParts): void {
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
    const path = `${internalPrefix}/objects/*`
    scope.put(path, { handlerTimeout: transferMsMax }, async (request, reply) => {
      await receive(parts, request)
      return reply.code(204).send()
    })
    scope.get(path, { handlerTimeout: transferMsMax }, async (request, reply) => {
      return await send(parts, request, reply)
    })
  })
}

async function receive(parts: ObjectRouteParts, request: FastifyRequest): Promise<void> {
  const { key, sha256, sizeBytes, contentType } = verify(parts, request)
  if (sha256 === undefined || sizeBytes === undefined || contentType === undefined) {
    throw new AppError('object.url_invalid', 'the link does not say which bytes to expect')
  }
  refuseLength(request, sizeBytes)
  const announced = await parts.attempts.findUpload(key)
  if (announced === null) throw new AppError('object.url_invalid', 'nobody announced this object')
  // The parser above hands the stream through; a request without a content type has no parser.
  const bytes = request.body instanceof Readable ? request.body : request.raw
  await parts.objects.put(key, bytes, { sha256, sizeBytes, contentType })
  const isConfirmed = await parts.attempts.confirm(key, sha256)
  if (!isConfirmed) throw new AppError('object.mismatch', 'other bytes were announced meanwhile')
}

async function send(parts: ObjectRouteParts, request: FastifyRequest, reply: FastifyReply) {
  const { key } = verify(parts, request)
  const object = await parts.objects.get(key)
  if (object === null) throw new AppError('object.not_found', 'there is no such object')
  return await reply
    .header('content-type', 'application/octet-stream')
    .header('content-length', String(object.sizeBytes))
    .send(object.bytes)
}

function verify({ urlKey, clock }: ObjectRouteParts, request: FastifyRequest): Grant {
  const { '*': key } = objectParams.parse(request.params)
  const query = objectQuery.parse(request.query)
  return verifySignedUrl({ method: request.method, key, query }, { secret: urlKey, clock })
}

/** Said wrong at the start: not one byte has to travel. */
function refuseLength(request: FastifyRequest, sizeBytes: number): void {
  const length = request.headers['content-length']
  if (length === undefined || Number(length) === sizeBytes) return
  throw new AppError('object.mismatch', `the link is for ${sizeBytes} bytes`)
}
