import { z } from 'zod'
import {
  adjustmentRequest,
  adjustmentView,
  balanceView,
  distributionRequest,
  distributionView,
  issueRequest,
  revocationRequest,
  revocationView,
} from '../../../shared/wire/credits.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { CreditMovements } from './move.ts'

const tags = ['Credits']
/** Of every route here. */
const common = ['request.too_large', 'request.media_type', 'idempotency.mismatch'] as const

/** Loose: every other header of the request passes. */
export const keyHeaders = z.looseObject({
  'idempotency-key': z
    .string()
    .min(1)
    .max(255)
    .regex(/^[\x20-\x7e]*$/)
    .meta({
      description:
        'Makes repeating the request safe: nothing is done twice. For 7 days it stands for one ' +
        'body; with another one it is refused. A movement that was refused, for example for want ' +
        'of credits, may be tried again with the same key and body.',
    }),
})

export function registerAccountRoutes(app: ApiApp, movements: CreditMovements): void {
  registerIssue(app, movements)
  registerDistribution(app, movements)
  registerRevocation(app, movements)
  registerAdjustment(app, movements)
}

function registerIssue(app: ApiApp, movements: CreditMovements): void {
  app.post(
    '/v1/credits/issues',
    {
      config: {
        permission: 'credits.issue',
        problems: [...common, 'department.not_found', 'user.not_found', 'credits.too_many_lots'],
      },
      schema: {
        tags,
        operationId: 'issueCredits',
        summary: 'Give credits to a department or a person',
        headers: keyHeaders,
        body: issueRequest,
        response: { 201: answer('The account after it', balanceView) },
      },
    },
    async (request, reply) => {
      const { headers, body } = request
      const wish = { caller: callerOf(request), key: headers['idempotency-key'], request: body }
      return reply.code(201).send(await movements.issue(wish))
    },
  )
}

function registerDistribution(app: ApiApp, movements: CreditMovements): void {
  app.post(
    '/v1/credits/distributions',
    {
      config: {
        permission: 'credits.distribute',
        problems: [...common, 'department.not_found', 'credits.insufficient'],
      },
      schema: {
        tags,
        operationId: 'distributeCredits',
        summary: 'Give credits of a department to its members',
        description:
          'To all of them or to none. They keep the expiry that they have on the department’s ' +
          'account; those that lapse first go first. Department admins distribute what their own ' +
          'department has, super admins what any has.',
        headers: keyHeaders,
        body: distributionRequest,
        response: { 201: answer('The accounts after it', distributionView) },
      },
    },
    async (request, reply) => {
      const { headers, body } = request
      const wish = { caller: callerOf(request), key: headers['idempotency-key'], request: body }
      return reply.code(201).send(await movements.distribute(wish))
    },
  )
}

function registerRevocation(app: ApiApp, movements: CreditMovements): void {
  app.post(
    '/v1/credits/revocations',
    {
      config: {
        permission: 'credits.revoke',
        problems: [
          ...common,
          'credits.account_not_found',
          'credits.insufficient',
          'credits.nothing_unused',
        ],
      },
      schema: {
        tags,
        operationId: 'revokeCredits',
        summary: 'Take unused credits back',
        description:
          'From a person, also one who has left, to the department; or from the department to the ' +
          'platform, which only super admins do. What open jobs hold stays.',
        headers: keyHeaders,
        body: revocationRequest,
        response: { 201: answer('The accounts after it', revocationView) },
      },
    },
    async (request, reply) => {
      const { headers, body } = request
      const wish = { caller: callerOf(request), key: headers['idempotency-key'], request: body }
      return reply.code(201).send(await movements.revoke(wish))
    },
  )
}

function registerAdjustment(app: ApiApp, movements: CreditMovements): void {
  app.post(
    '/v1/credits/adjustments',
    {
      config: {
        permission: 'credits.adjust',
        problems: [...common, 'credits.entry_not_found', 'credits.adjusted'],
      },
      schema: {
        tags,
        operationId: 'adjustCredits',
        summary: 'Give back what an entry of the ledger took',
        description:
          'At most what the entry charged or let lapse, and once per entry. Entries are never ' +
          'changed: the credits come back as new ones.',
        headers: keyHeaders,
        body: adjustmentRequest,
        response: { 201: answer('The account after it', adjustmentView) },
      },
    },
    async (request, reply) => {
      const { headers, body } = request
      const wish = { caller: callerOf(request), key: headers['idempotency-key'], request: body }
      return reply.code(201).send(await movements.adjust(wish))
    },
  )
}
