import { departmentCreditsView } from '../../../shared/wire/department-credits.ts'
import { departmentParams } from '../../../shared/wire/departments.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { DepartmentCreditsService } from './service.ts'

export function registerDepartmentCreditsRoute(
  app: ApiApp,
  service: DepartmentCreditsService,
): void {
  app.get(
    '/v1/departments/:name/credits',
    {
      config: { permission: 'credits.read', problems: ['department.not_found'] },
      schema: {
        tags: ['Credits'],
        operationId: 'getDepartmentCredits',
        summary: 'Read the credits of a department at a glance',
        description: 'For its admins and super admins: sums over all its accounts, and its budget.',
        params: departmentParams,
        response: { 200: answer('What there is and what was used', departmentCreditsView) },
      },
    },
    (request) => service.get(callerOf(request), request.params.name),
  )
}
