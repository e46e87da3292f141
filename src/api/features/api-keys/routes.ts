import { z } from 'zod'
import {
  apiKeyPage,
  apiKeyParams,
  apiKeyRequest,
  newApiKeyView,
} from '../../../shared/wire/api-keys.ts'
import { pageQuery } from '../../../shared/wire/pages.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { answer } from '../../plugins/answers.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { ApiKeyService } from './service.ts'

const tags = ['API keys']
const permission = 'api_keys.manage'

export function registerApiKeyRoutes(app: ApiApp, keys: ApiKeyService): void {
  app.get(
    '/v1/api-keys',
    {
      config: { permission },
      schema: {
        tags,
        operationId: 'listApiKeys',
        summary: 'List your API keys, oldest first',
        querystring: pageQuery,
        response: { 200: answer('A page of API keys', apiKeyPage) },
      },
    },
    (request) => keys.list(callerOf(request), request.query),
  )
  registerCreate(app, keys)
  app.delete(
    '/v1/api-keys/:id',
    {
      config: { permission, problems: ['api_key.not_found'] },
      schema: {
        tags,
        operationId: 'revokeApiKey',
        summary: 'Revoke one of your API keys',
        params: apiKeyParams,
        response: { 204: z.undefined().describe('The key is not accepted any more') },
      },
    },
    async (request, reply) => {
      await keys.revoke(callerOf(request), request.params.id)
      return reply.code(204).send()
    },
  )
}

function registerCreate(app: ApiApp, keys: ApiKeyService): void {
  app.post(
    '/v1/api-keys',
    {
      config: {
        permission,
        problems: ['request.too_large', 'request.media_type', 'api_key.limit'],
      },
      schema: {
        tags,
        operationId: 'createApiKey',
        summary: 'Make an API key',
        description:
          'The key is in this answer and nowhere else. Send it as `Authorization: Bearer …`, or ' +
          'as the password of Basic with any user name. It acts as you, within its scopes.',
        body: apiKeyRequest,
        response: { 201: answer('The key, shown this once', newApiKeyView) },
      },
    },
    async (request, reply) => {
      return reply.code(201).send(await keys.create(callerOf(request), request.body))
    },
  )
}
