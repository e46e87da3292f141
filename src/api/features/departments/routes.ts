import { departmentPage } from '../../../shared/wire/departments.ts'
import { pageQuery } from '../../../shared/wire/pages.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { DepartmentService } from './service.ts'

export function registerDepartmentRoutes(app: ApiApp, departments: DepartmentService): void {
  app.get(
    '/v1/departments',
    {
      config: { permission: 'departments.read' },
      schema: {
        tags: ['Departments'],
        operationId: 'listDepartments',
        summary: 'List the departments you can see',
        querystring: pageQuery,
        response: { 200: answer('A page of departments, by name', departmentPage) },
      },
    },
    (request) => departments.list(callerOf(request), request.query),
  )
}
