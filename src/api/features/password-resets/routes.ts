import { z } from 'zod'
import {
  codeSent,
  passwordResetCodeRequest,
  passwordResetRequest,
} from '../../../shared/wire/sign-ups.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { originOf } from '../../plugins/authentication.ts'
import type { PasswordResetService } from './service.ts'

const tags = ['Sign-up']

export function registerPasswordResetRoutes(app: ApiApp, resets: PasswordResetService): void {
  app.post(
    '/v1/password-resets/codes',
    {
      config: {
        permission: 'Public',
        rateClass: 'Code',
        problems: ['request.too_large', 'request.media_type', 'rate.limited'],
      },
      schema: {
        tags,
        operationId: 'sendPasswordResetCode',
        summary: 'Have a code mailed to set a new password',
        description:
          'The answer is the same for every address; who has no account is told so by mail.',
        body: passwordResetCodeRequest,
        response: { 202: answer('A mail is on its way', codeSent) },
      },
    },
    async (request, reply) =>
      reply.code(202).send(await resets.sendCode(request.body, originOf(request))),
  )
  app.post(
    '/v1/password-resets',
    {
      config: {
        permission: 'Public',
        rateClass: 'SignIn',
        problems: ['request.too_large', 'request.media_type', 'code.invalid', 'rate.limited'],
      },
      schema: {
        tags,
        operationId: 'resetPassword',
        summary: 'Set a new password with a mailed code',
        description: 'Ends all sessions of the account. Sign in with the new password then.',
        body: passwordResetRequest,
        response: { 204: z.undefined().describe('The password is set') },
      },
    },
    async (request, reply) => {
      await resets.reset(request.body, originOf(request))
      return reply.code(204).send()
    },
  )
}
