import { limitsView } from '../../../shared/wire/settings.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { LimitService } from './service.ts'

export function registerLimitRoutes(app: ApiApp, limits: LimitService): void {
  app.get(
    '/v1/users/me/limits',
    {
      config: { permission: 'users.read_self' },
      schema: {
        tags: ['Users'],
        operationId: 'getLimits',
        summary: 'Read your membership’s caps and what you use of them',
        response: { 200: answer('The limits that count for you now', limitsView) },
      },
    },
    (request) => limits.get(callerOf(request)),
  )
}
