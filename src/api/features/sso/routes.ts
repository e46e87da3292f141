import type { Clock } from '../../../shared/clock.ts'
import { sessionView } from '../../../shared/wire/sessions.ts'
import { issuerList, ssoRequest } from '../../../shared/wire/sso.ts'
import type { ApiMetrics } from '../../metrics.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { originOf } from '../../plugins/authentication.ts'
import { handOver } from '../sessions/cookies.ts'
import { countSignIn } from '../sessions/count-sign-in.ts'
import type { SsoService } from './service.ts'

export type SsoRouteParts = {
  readonly sso: SsoService
  readonly metrics: ApiMetrics
  readonly clock: Clock
}

const tags = ['Sessions']

export function registerSsoRoutes(app: ApiApp, { sso, metrics, clock }: SsoRouteParts): void {
  app.get(
    '/v1/sso/issuers',
    {
      config: { permission: 'Public' },
      schema: {
        tags,
        operationId: 'listIssuers',
        summary: 'List the providers that people can sign in at',
        response: { 200: answer('The providers; empty when there are none', issuerList) },
      },
    },
    () => sso.listIssuers(),
  )
  app.post(
    '/v1/sessions/sso',
    {
      config: {
        permission: 'Public',
        rateClass: 'SignIn',
        problems: [
          'request.too_large',
          'request.media_type',
          'sso.unknown_issuer',
          'sso.refused',
          'rate.limited',
        ],
      },
      schema: {
        tags,
        operationId: 'createSsoSession',
        summary: 'Sign in with an ID token',
        description:
          'Takes an OpenID Connect ID token (RS256) of a provider. The first time, a verified ' +
          'address of a known person is linked to them; anybody else becomes a guest of `department`.',
        body: ssoRequest,
        response: { 201: answer('The session with its tokens', sessionView) },
      },
    },
    async (request, reply) => {
      const session = await countSignIn(metrics, sso.signIn(request.body, originOf(request)))
      const { transport } = request.body
      return reply.code(201).send(handOver(reply, { session, transport, nowMs: clock.nowMs() }))
    },
  )
}
