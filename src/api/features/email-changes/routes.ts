import {
  codeSent,
  emailChangeCodeRequest,
  emailChangeRequest,
} from '../../../shared/wire/sign-ups.ts'
import { profileView } from '../../../shared/wire/users.ts'
import { isAppError } from '../../../shared/errors.ts'
import type { ApiMetrics } from '../../metrics.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { EmailChangeService } from './service.ts'

export type EmailChangeRouteParts = {
  readonly emailChanges: EmailChangeService
  readonly metrics: Pick<ApiMetrics, 'signIns'>
}

const tags = ['Users']

export function registerEmailChangeRoutes(
  app: ApiApp,
  { emailChanges, metrics }: EmailChangeRouteParts,
): void {
  app.post(
    '/v1/users/me/email/codes',
    {
      config: {
        permission: 'users.update_self',
        rateClass: 'Code',
        problems: [
          'request.too_large',
          'request.media_type',
          'auth.invalid_credentials',
          'rate.limited',
        ],
      },
      schema: {
        tags,
        operationId: 'sendEmailChangeCode',
        summary: 'Have a code mailed to a new address of yours',
        description:
          'The answer is the same for every address; who has an account with it is told by mail.',
        body: emailChangeCodeRequest,
        response: { 202: answer('A mail is on its way', codeSent) },
      },
    },
    async (request, reply) => {
      const sent = await emailChanges
        .sendCode(callerOf(request), request.body)
        .catch((error: unknown) => {
          const refused = isAppError(error, 'auth.invalid_credentials')
          if (refused) metrics.signIns.inc({ outcome: 'refused' })
          throw error
        })
      return reply.code(202).send(sent)
    },
  )
  app.put(
    '/v1/users/me/email',
    {
      config: {
        permission: 'users.update_self',
        rateClass: 'SignIn',
        problems: ['request.too_large', 'request.media_type', 'code.invalid', 'user.state'],
      },
      schema: {
        tags,
        operationId: 'changeEmail',
        summary: 'Change your address with a mailed code',
        description: 'The old address is told, and is free for somebody else from then on.',
        body: emailChangeRequest,
        response: { 200: answer('The changed profile', profileView) },
      },
    },
    (request) => emailChanges.change(callerOf(request), request.body),
  )
}
