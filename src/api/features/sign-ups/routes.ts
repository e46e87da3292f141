import type { Clock } from '../../../shared/clock.ts'
import { pageQuery } from '../../../shared/wire/pages.ts'
import { sessionView } from '../../../shared/wire/sessions.ts'
import {
  codeSent,
  openDepartmentPage,
  signUpCodeRequest,
  signUpRequest,
} from '../../../shared/wire/sign-ups.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { originOf } from '../../plugins/authentication.ts'
import { handOver } from '../sessions/cookies.ts'
import type { SignUpService } from './service.ts'

export type SignUpRouteParts = { readonly signUps: SignUpService; readonly clock: Clock }

const tags = ['Sign-up']

export function registerSignUpRoutes(app: ApiApp, { signUps, clock }: SignUpRouteParts): void {
  registerReads(app, signUps)
  app.post(
    '/v1/sign-ups',
    {
      config: {
        permission: 'Public',
        rateClass: 'SignIn',
        problems: [
          'request.too_large',
          'request.media_type',
          'department.not_found',
          'code.invalid',
          'rate.limited',
        ],
      },
      schema: {
        tags,
        operationId: 'signUp',
        summary: 'Make an account',
        description:
          'Takes the code that `POST /v1/sign-ups/codes` mailed, makes a guest and signs them in. ' +
          'An admin of the department then makes the guest a member, or does not.',
        body: signUpRequest,
        response: { 201: answer('The session of the new guest', sessionView) },
      },
    },
    async (request, reply) => {
      const session = await signUps.signUp(request.body, originOf(request))
      const { transport } = request.body
      return reply.code(201).send(handOver(reply, { session, transport, nowMs: clock.nowMs() }))
    },
  )
}

function registerReads(app: ApiApp, signUps: SignUpService): void {
  app.get(
    '/v1/sign-ups/departments',
    {
      config: { permission: 'Public' },
      schema: {
        tags,
        operationId: 'listOpenDepartments',
        summary: 'List the departments that one can ask to join',
        querystring: pageQuery,
        response: { 200: answer('A page of departments, by name', openDepartmentPage) },
      },
    },
    (request) => signUps.listDepartments(request.query),
  )
  app.post(
    '/v1/sign-ups/codes',
    {
      config: {
        permission: 'Public',
        rateClass: 'Code',
        problems: ['request.too_large', 'request.media_type', 'rate.limited'],
      },
      schema: {
        tags,
        operationId: 'sendSignUpCode',
        summary: 'Have a code mailed to make an account',
        description:
          'The answer is the same for every address; who has an account is told so by mail. The ' +
          'code before is good no more. At most 3 in 15 minutes.',
        body: signUpCodeRequest,
        response: { 202: answer('A mail is on its way', codeSent) },
      },
    },
    async (request, reply) =>
      reply.code(202).send(await signUps.sendCode(request.body, originOf(request))),
  )
}
