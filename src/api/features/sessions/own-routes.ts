import { z } from 'zod'
import { pageQuery } from '../../../shared/wire/pages.ts'
import { ownSessionPage, sessionParams } from '../../../shared/wire/sessions.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { answer } from '../../plugins/answers.ts'
import { callerOf } from '../../plugins/authentication.ts'
import { clearSessionCookies } from './cookies.ts'
import type { SessionService } from './service.ts'

const tags = ['Sessions']
const permission = 'sessions.manage'

/** One's own sessions: to see where one is signed in, and to end them. */
export function registerOwnSessionRoutes(app: ApiApp, sessions: SessionService): void {
  app.get(
    '/v1/sessions',
    {
      config: { permission },
      schema: {
        tags,
        operationId: 'listSessions',
        summary: 'List your live sessions, oldest first',
        querystring: pageQuery,
        response: { 200: answer('A page of sessions', ownSessionPage) },
      },
    },
    (request) => sessions.list(callerOf(request), request.query),
  )
  registerSignOut(app, sessions)
  app.delete(
    '/v1/sessions/:id',
    {
      config: { permission, problems: ['session.not_found'] },
      schema: {
        tags,
        operationId: 'revokeSession',
        summary: 'End one of your sessions',
        params: sessionParams,
        response: { 204: z.undefined().describe('The session has ended') },
      },
    },
    async (request, reply) => {
      await sessions.revoke(callerOf(request), request.params.id)
      return reply.code(204).send()
    },
  )
  app.delete(
    '/v1/sessions',
    {
      config: { permission },
      schema: {
        tags,
        operationId: 'revokeOtherSessions',
        summary: 'End all of your sessions but this one',
        response: { 204: z.undefined().describe('The other sessions have ended') },
      },
    },
    async (request, reply) => {
      await sessions.revokeOthers(callerOf(request))
      return reply.code(204).send()
    },
  )
}

function registerSignOut(app: ApiApp, sessions: SessionService): void {
  app.delete(
    '/v1/sessions/current',
    {
      config: { permission },
      schema: {
        tags,
        operationId: 'endSession',
        summary: 'Sign out',
        description: 'Ends the session of the request and clears its cookies.',
        response: { 204: z.undefined().describe('The session has ended') },
      },
    },
    async (request, reply) => {
      await sessions.signOut(callerOf(request))
      clearSessionCookies(reply)
      return reply.code(204).send()
    },
  )
}
