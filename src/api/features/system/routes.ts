import { auditView } from '../../../shared/wire/system.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { SystemService } from './service.ts'

/** The audit reads everything there is. */
const auditTimeoutMs = 120_000

export function registerSystemRoutes(app: ApiApp, system: SystemService): void {
  app.get(
    '/v1/system/audit',
    {
      handlerTimeout: auditTimeoutMs,
      config: { permission: 'system.audit' },
      schema: {
        tags: ['System'],
        operationId: 'getAudit',
        summary: 'Compare rows, custom resources, holds, entries and objects',
        description:
          'Recomputes every account from its entries and changes nothing. Reads everything there ' +
          'is. What is on its way is looked at again before it counts.',
        response: { 200: answer('The differences', auditView) },
      },
    },
    (request) => system.audit(callerOf(request)),
  )
}
