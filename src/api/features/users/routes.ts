import { z } from 'zod'
import { passwordChange, profileChange, profileView } from '../../../shared/wire/users.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { UserService } from './service.ts'

const tags = ['Users']

/** Everybody's own account. */
export function registerUserRoutes(app: ApiApp, users: UserService): void {
  app.get(
    '/v1/users/me',
    {
      config: { permission: 'users.read_self' },
      schema: {
        tags,
        operationId: 'getProfile',
        summary: 'Read your profile, permissions and balance',
        response: { 200: answer('The signed-in user', profileView) },
      },
    },
    (request) => users.getProfile(callerOf(request)),
  )
  app.patch(
    '/v1/users/me',
    {
      config: {
        permission: 'users.update_self',
        problems: ['request.too_large', 'request.media_type', 'user.state'],
      },
      schema: {
        tags,
        operationId: 'updateProfile',
        summary: 'Change your name or language',
        body: profileChange,
        response: { 200: answer('The changed profile', profileView) },
      },
    },
    (request) => users.updateProfile(callerOf(request), request.body),
  )
  app.put(
    '/v1/users/me/password',
    {
      config: {
        permission: 'users.update_self',
        rateClass: 'SignIn',
        problems: [
          'request.too_large',
          'request.media_type',
          'auth.invalid_credentials',
          'user.state',
          'rate.limited',
        ],
      },
      schema: {
        tags,
        operationId: 'changePassword',
        summary: 'Change your password',
        description: 'Ends all your other sessions.',
        body: passwordChange,
        response: { 204: z.undefined().describe('The new password counts') },
      },
    },
    async (request, reply) => {
      await users.changePassword(callerOf(request), request.body)
      return reply.code(204).send()
    },
  )
}
