import { profileView } from '../../../shared/wire/sessions.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { UserService } from './service.ts'

export function registerUserRoutes(app: ApiApp, users: UserService): void {
  app.get(
    '/v1/users/me',
    {
      config: { permission: 'users.read_self' },
      schema: {
        tags: ['Users'],
        operationId: 'getProfile',
        summary: 'Read your profile and balance',
        response: { 200: answer('The signed-in user', profileView) },
      },
    },
    (request) => users.getProfile(callerOf(request)),
  )
}
