import { z } from 'zod'
import { labelName } from '../../../shared/crd/common.ts'
import { modelPage, modelView } from '../../../shared/wire/models.ts'
import { pageQuery } from '../../../shared/wire/pages.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { ModelService } from './service.ts'

export function registerModelRoutes(app: ApiApp, models: ModelService): void {
  app.get(
    '/v1/models',
    {
      config: { permission: 'models.read' },
      schema: {
        tags: ['Models'],
        operationId: 'listModels',
        summary: 'List the models you can use',
        querystring: pageQuery,
        response: { 200: answer('A page of models, oldest first', modelPage) },
      },
    },
    (request) => models.list(callerOf(request), request.query),
  )
  app.get(
    '/v1/models/:name',
    {
      config: { permission: 'models.read', problems: ['model.not_found'] },
      schema: {
        tags: ['Models'],
        operationId: 'getModel',
        summary: 'Read one model',
        params: z.strictObject({ name: labelName }),
        response: { 200: answer('The model', modelView) },
      },
    },
    (request) => models.get(callerOf(request), request.params.name),
  )
}
