import { z } from 'zod'
import { balanceView, issueRequest } from '../../../shared/wire/credits.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { IssueService } from './issues.ts'

/** Loose: every other header of the request passes. */
const issueHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x20-\x7e]*$/)
    .meta({ description: 'Makes repeating the request safe: nothing is issued twice' }),
})

export function registerAccountRoutes(app: ApiApp, issues: IssueService): void {
  app.post(
    '/v1/credits/issues',
    {
      config: {
        permission: 'credits.issue',
        problems: [
          'request.too_large',
          'request.media_type',
          'department.not_found',
          'user.not_found',
          'idempotency.mismatch',
        ],
      },
      schema: {
        tags: ['Credits'],
        operationId: 'issueCredits',
        summary: 'Give credits to a department or a person',
        headers: issueHeaders,
        body: issueRequest,
        response: { 201: answer('The account after it', balanceView) },
      },
    },
    async (request, reply) => {
      const key = request.headers['idempotency-key']
      const balance = await issues.issue(callerOf(request), key, request.body)
      return reply.code(201).send(balance)
    },
  )
}
