import { AppError } from '../../../shared/errors.ts'
import { refreshRequest, sessionRequest, sessionView } from '../../../shared/wire/sessions.ts'
import type { Clock } from '../../../shared/clock.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { answer } from '../../plugins/answers.ts'
import { originOf } from '../../plugins/authentication.ts'
import { requireSameSite } from '../../plugins/same-site.ts'
import type { ApiMetrics } from '../../metrics.ts'
import { handOver, refreshCookieOf } from './cookies.ts'
import { countSignIn } from './count-sign-in.ts'
import { registerOwnSessionRoutes } from './own-routes.ts'
import type { SessionService } from './service.ts'

export type SessionRouteParts = {
  readonly sessions: SessionService
  readonly metrics: ApiMetrics
  readonly publicUrl: string
  readonly clock: Clock
}

const tags = ['Sessions']

export function registerSessionRoutes(app: ApiApp, parts: SessionRouteParts): void {
  registerSignIn(app, parts)
  registerRefresh(app, parts)
  registerOwnSessionRoutes(app, parts.sessions)
}

function registerSignIn(app: ApiApp, { sessions, metrics, clock }: SessionRouteParts): void {
  app.post(
    '/v1/sessions',
    {
      config: {
        permission: 'Public',
        rateClass: 'SignIn',
        problems: [
          'request.too_large',
          'request.media_type',
          'auth.invalid_credentials',
          'rate.limited',
        ],
      },
      schema: {
        tags,
        operationId: 'createSession',
        summary: 'Sign in',
        description:
          'Begins a session for an e-mail address and its password. With `transport: Cookie` its ' +
          'tokens are in `__Host-` cookies that scripts cannot read, and null in the answer.',
        body: sessionRequest,
        response: { 201: answer('The session with its tokens', sessionView) },
      },
    },
    async (request, reply) => {
      const signedIn = sessions.signIn(request.body, originOf(request))
      const session = await countSignIn(metrics, signedIn)
      const { transport } = request.body
      return reply.code(201).send(handOver(reply, { session, transport, nowMs: clock.nowMs() }))
    },
  )
}

function registerRefresh(app: ApiApp, { sessions, publicUrl, clock }: SessionRouteParts): void {
  app.post(
    '/v1/sessions/refresh',
    {
      config: {
        permission: 'Public',
        rateClass: 'SignIn',
        problems: [
          'request.too_large',
          'request.media_type',
          'auth.required',
          'auth.invalid_token',
          'auth.refresh_reused',
          'auth.cross_site',
        ],
      },
      schema: {
        tags,
        operationId: 'refreshSession',
        summary: 'Exchange a refresh token for a new pair',
        description:
          'A refresh token is good once: using it again ends the session, since two seem to hold ' +
          'it. Without a token in the body the cookie’s is meant, and the new pair is in cookies.',
        body: refreshRequest,
        response: { 201: answer('The session with its new tokens', sessionView) },
      },
    },
    async (request, reply) => {
      const fromCookie = request.body.refreshToken === undefined
      if (fromCookie) requireSameSite(request, publicUrl)
      const token = request.body.refreshToken ?? refreshCookieOf(request)
      if (token === undefined) throw new AppError('auth.required', 'send a refresh token')
      const session = await sessions.refresh(token, originOf(request))
      const transport = fromCookie ? 'Cookie' : 'Bearer'
      return reply.code(201).send(handOver(reply, { session, transport, nowMs: clock.nowMs() }))
    },
  )
}
