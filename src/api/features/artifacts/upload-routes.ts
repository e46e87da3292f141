import { Readable } from 'node:stream'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { pictureTypes } from '../../../shared/domain/picture-header.ts'
import { AppError, isAppError } from '../../../shared/errors.ts'
import { artifact } from '../../../shared/wire/jobs.ts'
import type { ApiMetrics } from '../../metrics.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { UploadRequest, UploadService } from './uploads.ts'

const tags = ['Artifacts']
/** As long as a whole request may take to arrive: 32 MiB at 2.3 Mbit/s. */
const uploadMsMax = 120_000

export type UploadRouteParts = {
  readonly uploads: UploadService
  readonly metrics: Pick<ApiMetrics, 'pictureUploads' | 'pictureUploadBytes'>
}

/** In a scope of their own: only here a body may be a picture, and it is never read into memory. */
export async function registerUploadRoutes(app: ApiApp, parts: UploadRouteParts): Promise<void> {
  await app.register(async (scope: ApiApp) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser([...pictureTypes], (_request, payload, done) => done(null, payload))
    registerUpload(scope, parts)
  })
  app.delete(
    '/v1/artifacts/:id',
    {
      config: {
        permission: 'artifacts.delete',
        problems: ['artifact.not_found', 'artifact.kept'],
      },
      schema: {
        tags,
        operationId: 'deleteArtifact',
        summary: 'Delete an uploaded picture',
        description: 'Jobs that still wait with it as an input will fail.',
        params: z.strictObject({ id: z.string().min(1).max(200) }),
        response: { 204: z.undefined().describe('It is gone') },
      },
    },
    async (request, reply) => {
      await parts.uploads.remove(callerOf(request), request.params.id)
      return reply.code(204).send()
    },
  )
}

function registerUpload(scope: ApiApp, { uploads, metrics }: UploadRouteParts): void {
  scope.post(
    '/v1/artifacts',
    {
      handlerTimeout: uploadMsMax,
      config: {
        permission: 'artifacts.create',
        rateClass: 'Upload',
        problems: ['request.too_large', 'request.media_type', 'limit.upload_quota', 'rate.limited'],
        bodyTypes: pictureTypes,
        answerHeaders: { 201: { Location: 'Address of the artifact' } },
      },
      schema: {
        tags,
        operationId: 'uploadPicture',
        summary: 'Upload a picture or a mask as an input of jobs',
        description:
          'The body is the file itself, at most 32 MiB and 40 megapixels. The `id` of the answer ' +
          'is what `inputs[].artifact` takes. The same bytes again give the same artifact and ' +
          'take no room of your quota.',
        response: { 201: answer('The stored picture', artifact) },
      },
    },
    async (request, reply) => {
      try {
        const stored = await uploads.upload(callerOf(request), uploadOf(request))
        metrics.pictureUploads.inc({ outcome: 'accepted' })
        metrics.pictureUploadBytes.inc(stored.sizeBytes)
        return await reply.code(201).header('location', `/v1/artifacts/${stored.id}`).send(stored)
      } catch (error) {
        metrics.pictureUploads.inc({ outcome: isAppError(error) ? error.code : 'failed' })
        throw error
      }
    },
  )
}

function uploadOf({ body, headers }: FastifyRequest): UploadRequest {
  const contentType = pictureTypes.find((type) => type === mediaTypeOf(headers['content-type']))
  // Without a Content-Type there is no parser, and so no body.
  if (contentType === undefined || !(body instanceof Readable)) {
    throw new AppError('request.media_type', `send a picture as ${pictureTypes.join(', ')}`)
  }
  const length = headers['content-length']
  return { contentType, body, sizeBytes: length === undefined ? undefined : Number(length) }
}

/** Parameters such as a charset mean nothing here. */
function mediaTypeOf(header = ''): string {
  return header.split(';')[0]?.trim().toLowerCase() ?? ''
}
