import { isAppError } from '../../../shared/errors.ts'
import { sessionRequest, sessionView } from '../../../shared/wire/sessions.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiMetrics } from '../../metrics.ts'
import type { SessionService } from './service.ts'

export function registerSessionRoutes(
  app: ApiApp,
  { sessions, metrics }: { readonly sessions: SessionService; readonly metrics: ApiMetrics },
): void {
  app.post(
    '/v1/sessions',
    {
      config: {
        permission: 'Public',
        problems: [
          'request.too_large',
          'request.media_type',
          'auth.invalid_credentials',
          'rate.limited',
        ],
      },
      schema: {
        tags: ['Sessions'],
        operationId: 'createSession',
        summary: 'Sign in',
        description: 'Gives an access token for an e-mail address and its password.',
        body: sessionRequest,
        response: { 201: answer('The session with its access token', sessionView) },
      },
    },
    async (request, reply) => {
      const session = await sessions.signIn(request.body).catch((error: unknown) => {
        const refused = isAppError(error, 'auth.invalid_credentials')
        metrics.signIns.inc({ outcome: refused ? 'refused' : 'failed' })
        throw error
      })
      metrics.signIns.inc({ outcome: 'accepted' })
      return reply.code(201).send(session)
    },
  )
}
