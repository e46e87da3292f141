import { z } from 'zod'
import type { Clock } from '../../../shared/clock.ts'
import { AppError } from '../../../shared/errors.ts'
import {
  acceptRequest,
  importAnswer,
  importQuery,
  invitePage,
  inviteParams,
  inviteQuery,
  inviteRequest,
  inviteView,
} from '../../../shared/wire/invites.ts'
import { sessionView } from '../../../shared/wire/sessions.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf, originOf } from '../../plugins/authentication.ts'
import { handOver } from '../sessions/cookies.ts'
import { csvBytesMax } from './csv.ts'
import type { InviteService } from './service.ts'

export type InviteRouteParts = { readonly invites: InviteService; readonly clock: Clock }

const tags = ['Invites']
const csvType = 'text/csv'
/** A thousand rows of several writes each. */
const importMsMax = 120_000

export async function registerInviteRoutes(app: ApiApp, parts: InviteRouteParts): Promise<void> {
  registerInvites(app, parts.invites)
  registerRevoke(app, parts.invites)
  registerAccept(app, parts)
  // In a scope of its own: only here a body may be CSV.
  await app.register(async (scope: ApiApp) => {
    scope.removeAllContentTypeParsers()
    const options = { parseAs: 'buffer', bodyLimit: csvBytesMax } as const
    scope.addContentTypeParser(csvType, options, (_request, body, done) => done(null, body))
    registerImport(scope, parts.invites)
  })
}

function registerInvites(app: ApiApp, invites: InviteService): void {
  app.get(
    '/v1/invites',
    {
      config: { permission: 'users.invite' },
      schema: {
        tags,
        operationId: 'listInvites',
        summary: 'List invitations, newest first',
        description: 'Department admins see their department’s, super admins all.',
        querystring: inviteQuery,
        response: { 200: answer('A page of invitations', invitePage) },
      },
    },
    (request) => invites.list(callerOf(request), request.query),
  )
  app.post(
    '/v1/invites',
    {
      config: {
        permission: 'users.invite',
        problems: [
          'request.too_large',
          'request.media_type',
          'department.not_found',
          'user.email_taken',
        ],
      },
      schema: {
        tags,
        operationId: 'createInvite',
        summary: 'Invite somebody by mail',
        description:
          'Whoever accepts is a member at once. Inviting an address to the same department again ' +
          'sends a new mail, and the token of the one before is dead.',
        body: inviteRequest,
        response: { 201: answer('The invitation', inviteView) },
      },
    },
    async (request, reply) =>
      reply.code(201).send(await invites.create(callerOf(request), request.body)),
  )
}

function registerRevoke(app: ApiApp, invites: InviteService): void {
  app.delete(
    '/v1/invites/:id',
    {
      config: { permission: 'users.invite', problems: ['invite.not_found'] },
      schema: {
        tags,
        operationId: 'revokeInvite',
        summary: 'Take an invitation back',
        params: inviteParams,
        response: { 204: z.undefined().describe('Its token is dead') },
      },
    },
    async (request, reply) => {
      await invites.revoke(callerOf(request), request.params.id)
      return reply.code(204).send()
    },
  )
}

function registerAccept(app: ApiApp, { invites, clock }: InviteRouteParts): void {
  app.post(
    '/v1/invites/accept',
    {
      config: {
        permission: 'Public',
        rateClass: 'SignIn',
        problems: ['request.too_large', 'request.media_type', 'invite.invalid', 'rate.limited'],
      },
      schema: {
        tags,
        operationId: 'acceptInvite',
        summary: 'Accept an invitation',
        description: 'Makes the account of who was invited and signs them in.',
        body: acceptRequest,
        response: { 201: answer('The session of the new member', sessionView) },
      },
    },
    async (request, reply) => {
      const session = await invites.accept(request.body, originOf(request))
      const { transport } = request.body
      return reply.code(201).send(handOver(reply, { session, transport, nowMs: clock.nowMs() }))
    },
  )
}

function registerImport(scope: ApiApp, invites: InviteService): void {
  scope.post(
    '/v1/invites/import',
    {
      handlerTimeout: importMsMax,
      config: {
        permission: 'users.invite',
        rateClass: 'Export',
        problems: ['request.too_large', 'request.media_type'],
        bodyTypes: [csvType],
      },
      schema: {
        tags,
        operationId: 'importInvites',
        summary: 'Invite everybody of a CSV file',
        description:
          'The header is `email,name,department,role`, in any order; separators are commas, ' +
          'semicolons or tabs; at most 1,000 rows and 256 KiB of UTF-8. Name and role may be ' +
          'empty. Rows stand for themselves: those that are refused are listed, the others are ' +
          'invited. Sending the file again mails nobody twice.',
        querystring: importQuery,
        response: { 200: answer('How many were invited and who was not', importAnswer) },
      },
    },
    async (request) => {
      // Without a Content-Type there is no parser, and so no body.
      if (!Buffer.isBuffer(request.body)) {
        throw new AppError('request.media_type', `send the file as ${csvType}`)
      }
      const { language } = request.query
      return await invites.import(callerOf(request), { bytes: request.body, language })
    },
  )
}
