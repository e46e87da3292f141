import { z } from 'zod'
import {
  creditApproval,
  creditDecline,
  creditRequestId,
  creditRequestPage,
  creditRequestsQuery,
  creditRequestView,
  newCreditRequest,
} from '../../../shared/wire/credit-requests.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import { keyHeaders } from '../accounts/routes.ts'
import type { CreditRequests } from './service.ts'

const tags = ['Credits']
const params = z.strictObject({ id: creditRequestId })
const body = ['request.too_large', 'request.media_type'] as const
const decided = ['credits.request_not_found', 'credits.request_decided'] as const
const response = { 200: answer('The request', creditRequestView) }

export function registerCreditRequestRoutes(app: ApiApp, requests: CreditRequests): void {
  registerAsking(app, requests)
  registerApproval(app, requests)
  app.post(
    '/v1/credits/requests/:id/decline',
    {
      config: { permission: 'credits.distribute', problems: [...body, ...decided] },
      schema: {
        tags,
        operationId: 'declineCreditRequest',
        summary: 'Decline a request for credits',
        params,
        body: creditDecline,
        response,
      },
    },
    (request) => {
      const { id } = request.params
      return requests.decline({ caller: callerOf(request), id, request: request.body })
    },
  )
  app.post(
    '/v1/credits/requests/:id/withdraw',
    {
      config: { permission: 'credits.request', problems: decided },
      schema: {
        tags,
        operationId: 'withdrawCreditRequest',
        summary: 'Withdraw your request for credits',
        params,
        response,
      },
    },
    (request) => requests.withdraw({ caller: callerOf(request), id: request.params.id }),
  )
}

function registerAsking(app: ApiApp, requests: CreditRequests): void {
  app.post(
    '/v1/credits/requests',
    {
      config: {
        permission: 'credits.request',
        problems: [...body, 'idempotency.mismatch', 'credits.too_many_requests'],
      },
      schema: {
        tags,
        operationId: 'requestCredits',
        summary: 'Ask for more credits',
        description:
          'Members ask their department, department admins also the super admins for their ' +
          'department. At most 5 of your requests may wait.',
        headers: keyHeaders,
        body: newCreditRequest,
        response: { 201: answer('The request', creditRequestView) },
      },
    },
    async (request, reply) => {
      const key = request.headers['idempotency-key']
      const wish = { caller: callerOf(request), key, request: request.body }
      return reply.code(201).send(await requests.ask(wish))
    },
  )
  app.get(
    '/v1/credits/requests',
    {
      config: { permission: 'credits.read' },
      schema: {
        tags,
        operationId: 'listCreditRequests',
        summary: 'List requests for credits, newest first',
        description:
          'Members see their own, department admins those of their department, super admins all.',
        querystring: creditRequestsQuery,
        response: { 200: answer('A page of requests', creditRequestPage) },
      },
    },
    (request) => requests.list(callerOf(request), request.query),
  )
}

function registerApproval(app: ApiApp, requests: CreditRequests): void {
  app.post(
    '/v1/credits/requests/:id/approve',
    {
      config: {
        permission: 'credits.distribute',
        problems: [
          ...body,
          ...decided,
          'user.state',
          'credits.insufficient',
          'credits.too_many_lots',
        ],
      },
      schema: {
        tags,
        operationId: 'approveCreditRequest',
        summary: 'Give what a request asks for, or more or less',
        description:
          'Department admins give members of their department from its account; super admins also ' +
          'give departments new credits. Nobody but super admins decides about their own request. ' +
          'When the department has too few credits, the request goes on waiting.',
        params,
        body: creditApproval,
        response,
      },
    },
    (request) => {
      const { id } = request.params
      return requests.approve({ caller: callerOf(request), id, request: request.body })
    },
  )
}
