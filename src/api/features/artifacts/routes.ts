import { z } from 'zod'
import { artifact } from '../../../shared/wire/jobs.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import { objectHeaders } from './object-headers.ts'
import type { ArtifactService } from './service.ts'

const tags = ['Artifacts']
const objectQuery = z.strictObject({
  expires: z.string().min(1).max(15),
  signature: z.string().min(1).max(100),
})

export function registerArtifactRoutes(app: ApiApp, artifacts: ArtifactService): void {
  app.get(
    '/v1/artifacts/:id',
    {
      config: { permission: 'artifacts.read', problems: ['artifact.not_found'] },
      schema: {
        tags,
        operationId: 'getArtifact',
        summary: 'Read what is known of one artifact, with a fresh link',
        params: z.strictObject({ id: z.string().min(1).max(200) }),
        response: { 200: answer('The artifact', artifact) },
      },
    },
    (request) => artifacts.get(callerOf(request), request.params.id),
  )
  app.get(
    '/v1/objects/*',
    {
      config: {
        permission: 'Public',
        rateClass: 'Object',
        problems: ['object.url_invalid', 'object.not_found'],
      },
      schema: {
        tags,
        operationId: 'getObject',
        summary: 'Follow a signed link to the bytes of an artifact',
        description: 'Links come with jobs and artifacts and expire; do not build them.',
        params: z.strictObject({ '*': z.string().min(1).max(1024) }),
        querystring: objectQuery,
        response: {
          200: {
            description: 'The bytes',
            content: { 'application/octet-stream': { schema: z.unknown() } },
          },
        },
      },
    },
    async (request, reply) => {
      const object = await artifacts.open(request.params['*'], request.query)
      return reply.headers(objectHeaders(object)).send(object.bytes)
    },
  )
}
