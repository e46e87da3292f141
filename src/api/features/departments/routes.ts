import {
  departmentChange,
  departmentPage,
  departmentParams,
  departmentView,
  memberPage,
  newDepartment,
} from '../../../shared/wire/departments.ts'
import { pageQuery } from '../../../shared/wire/pages.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { DepartmentService } from './service.ts'

const tags = ['Departments']

export function registerDepartmentRoutes(app: ApiApp, departments: DepartmentService): void {
  registerReads(app, departments)
  registerWrites(app, departments)
}

function registerReads(app: ApiApp, departments: DepartmentService): void {
  app.get(
    '/v1/departments',
    {
      config: { permission: 'departments.read' },
      schema: {
        tags,
        operationId: 'listDepartments',
        summary: 'List the departments you can see',
        querystring: pageQuery,
        response: { 200: answer('A page of departments, by name', departmentPage) },
      },
    },
    (request) => departments.list(callerOf(request), request.query),
  )
  app.get(
    '/v1/departments/:name',
    {
      config: { permission: 'departments.read', problems: ['department.not_found'] },
      schema: {
        tags,
        operationId: 'getDepartment',
        summary: 'Read one department',
        params: departmentParams,
        response: { 200: answer('The department', departmentView) },
      },
    },
    (request) => departments.get(callerOf(request), request.params.name),
  )
  app.get(
    '/v1/departments/:name/members',
    {
      config: { permission: 'users.read', problems: ['department.not_found'] },
      schema: {
        tags,
        operationId: 'listDepartmentMembers',
        summary: 'List the people of a department',
        description: 'Without guests: those are not members until somebody approves them.',
        params: departmentParams,
        querystring: pageQuery,
        response: { 200: answer('A page of people, by id', memberPage) },
      },
    },
    (request) => departments.members(callerOf(request), request.params.name, request.query),
  )
}

function registerWrites(app: ApiApp, departments: DepartmentService): void {
  app.post(
    '/v1/departments',
    {
      config: {
        permission: 'departments.create',
        answerHeaders: { 201: { Location: 'Address of the department' } },
        problems: ['request.too_large', 'request.media_type', 'department.exists'],
      },
      schema: {
        tags,
        operationId: 'createDepartment',
        summary: 'Create a department',
        description: 'Its custom resource follows; `resource` says how that stands.',
        body: newDepartment,
        response: { 201: answer('The department', departmentView) },
      },
    },
    async (request, reply) => {
      const created = await departments.create(callerOf(request), request.body)
      return await reply
        .code(201)
        .header('location', `/v1/departments/${created.name}`)
        .send(created)
    },
  )
  app.patch(
    '/v1/departments/:name',
    {
      config: {
        permission: 'departments.update',
        problems: [
          'request.too_large',
          'request.media_type',
          'department.not_found',
          'department.changed',
          'department.managed_by_platform',
        ],
      },
      schema: {
        tags,
        operationId: 'changeDepartment',
        summary: 'Change a department',
        description:
          'Admins change name, models, recipes and the running cap per person of their own ' +
          'department; weight, budget and the other caps are for super admins. What the platform team ' +
          'manages in the custom resource is refused here.',
        params: departmentParams,
        body: departmentChange,
        response: { 200: answer('The department as it is now', departmentView) },
      },
    },
    (request) => departments.update(callerOf(request), request.params.name, request.body),
  )
}
