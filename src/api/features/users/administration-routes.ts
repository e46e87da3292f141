import { z } from 'zod'
import type { ErrorCode } from '../../../shared/errors.ts'
import type { Permission } from '../../../shared/domain/permissions.ts'
import {
  membershipChange,
  move,
  personPage,
  personParams,
  personQuery,
  personView,
  profileChange,
  roleChange,
} from '../../../shared/wire/users.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { Administration } from './administration.ts'

const tags = ['Users']
const response = { 200: answer('The person as they are now', personView) }
const bodyProblems = ['request.too_large', 'request.media_type'] as const

/** Other people, for admins. */
export function registerAdministrationRoutes(app: ApiApp, people: Administration): void {
  registerReads(app, people)
  registerGuestDecisions(app, people)
  registerStates(app, people)
  registerPlaces(app, people)
  registerMembership(app, people)
}

function config(permission: Permission, ...problems: readonly ErrorCode[]) {
  return { permission, problems: ['user.not_found', 'user.state', ...problems] as const }
}

function registerReads(app: ApiApp, people: Administration): void {
  app.get(
    '/v1/users',
    {
      config: { permission: 'users.read' },
      schema: {
        tags,
        operationId: 'listUsers',
        summary: 'List people, by id',
        description:
          'Department admins see their own department. Those who were removed are listed only ' +
          'with `state=Deleted`.',
        querystring: personQuery,
        response: { 200: answer('A page of people', personPage) },
      },
    },
    (request) => people.list(callerOf(request), request.query),
  )
  app.get(
    '/v1/users/:id',
    {
      config: { permission: 'users.read', problems: ['user.not_found'] },
      schema: {
        tags,
        operationId: 'getUser',
        summary: 'Read one person',
        params: personParams,
        response: { 200: answer('The person', personView) },
      },
    },
    (request) => people.get(callerOf(request), request.params.id),
  )
  app.patch(
    '/v1/users/:id',
    {
      config: config('users.update', ...bodyProblems),
      schema: {
        tags,
        operationId: 'updateUser',
        summary: 'Change a person’s name or language',
        params: personParams,
        body: profileChange,
        response,
      },
    },
    (request) => people.update(callerOf(request), request.params.id, request.body),
  )
}

function registerGuestDecisions(app: ApiApp, people: Administration): void {
  app.post(
    '/v1/users/:id/approve',
    {
      config: config('users.approve'),
      schema: {
        tags,
        operationId: 'approveUser',
        summary: 'Make a guest a member of the department they asked for',
        description: 'They are told by mail.',
        params: personParams,
        response,
      },
    },
    (request) => people.approve(callerOf(request), request.params.id),
  )
  app.post(
    '/v1/users/:id/reject',
    {
      config: config('users.approve'),
      schema: {
        tags,
        operationId: 'rejectUser',
        summary: 'Refuse a guest and remove them',
        description: 'They are told by mail and may sign up again.',
        params: personParams,
        response,
      },
    },
    (request) => people.reject(callerOf(request), request.params.id),
  )
}

function registerStates(app: ApiApp, people: Administration): void {
  app.post(
    '/v1/users/:id/disable',
    {
      config: config('users.disable', 'user.last_super_admin'),
      schema: {
        tags,
        operationId: 'disableUser',
        summary: 'Keep a person from signing in',
        description: 'Ends all their sessions at once; their API keys stop. Not for yourself.',
        params: personParams,
        response,
      },
    },
    (request) => people.disable(callerOf(request), request.params.id),
  )
  app.post(
    '/v1/users/:id/enable',
    {
      config: config('users.disable'),
      schema: {
        tags,
        operationId: 'enableUser',
        summary: 'Let a disabled person sign in again',
        params: personParams,
        response,
      },
    },
    (request) => people.enable(callerOf(request), request.params.id),
  )
  app.delete(
    '/v1/users/:id',
    {
      config: config('users.delete', 'user.last_super_admin'),
      schema: {
        tags,
        operationId: 'deleteUser',
        summary: 'Remove a person for good',
        description:
          'Their name, address and ways to sign in are gone; their id stays in the history of ' +
          'jobs. Repeating it is fine. Not for yourself.',
        params: personParams,
        response: { 204: z.undefined().describe('They are removed') },
      },
    },
    async (request, reply) => {
      await people.remove(callerOf(request), request.params.id)
      return reply.code(204).send()
    },
  )
}

function registerPlaces(app: ApiApp, people: Administration): void {
  app.put(
    '/v1/users/:id/role',
    {
      config: config('users.set_role', 'user.last_super_admin', ...bodyProblems),
      schema: {
        tags,
        operationId: 'setUserRole',
        summary: 'Give a member another role',
        description: 'Not for yourself. Guests are approved instead.',
        params: personParams,
        body: roleChange,
        response,
      },
    },
    (request) => people.setRole(callerOf(request), request.params.id, request.body),
  )
  app.put(
    '/v1/users/:id/department',
    {
      config: config('users.move', 'department.not_found', ...bodyProblems),
      schema: {
        tags,
        operationId: 'moveUser',
        summary: 'Move a person to another department',
        description:
          'A department admin becomes a member there unless `keepRole` is true. Jobs stay with ' +
          'the department that they were made in.',
        params: personParams,
        body: move,
        response,
      },
    },
    (request) => people.move(callerOf(request), request.params.id, request.body),
  )
}

function registerMembership(app: ApiApp, people: Administration): void {
  app.put(
    '/v1/users/:id/membership',
    {
      config: config('users.set_membership', ...bodyProblems),
      schema: {
        tags,
        operationId: 'setUserMembership',
        summary: 'Set a person’s membership tier',
        description: '`Free` has no end; any other tier becomes `Free` at its end.',
        params: personParams,
        body: membershipChange,
        response,
      },
    },
    (request) => people.setMembership(callerOf(request), request.params.id, request.body),
  )
}
