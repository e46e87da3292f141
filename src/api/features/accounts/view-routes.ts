import { z } from 'zod'
import {
  accountQuery,
  accountsPage,
  accountsQuery,
  accountView,
  entriesExportQuery,
  entriesPage,
  entriesQuery,
} from '../../../shared/wire/ledger.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { CreditViews } from './views.ts'

const tags = ['Credits']
/** 100,000 rows over a slow line. */
const exportMsMax = 300_000
const permission = 'credits.read'
const whose =
  'Your own account by default. Members see their own, department admins those of their ' +
  'department, super admins all; any other is not there.'

export function registerCreditViewRoutes(app: ApiApp, views: CreditViews): void {
  app.get(
    '/v1/credits/account',
    {
      config: { permission, problems: ['credits.account_not_found'] },
      schema: {
        tags,
        operationId: 'getCreditAccount',
        summary: 'Get the credits of an account, by lot with expiry',
        description: whose,
        querystring: accountQuery,
        response: { 200: answer('The account', accountView) },
      },
    },
    (request) => views.account(callerOf(request), request.query),
  )
  app.get(
    '/v1/credits/accounts',
    {
      config: { permission, problems: ['department.not_found'] },
      schema: {
        tags,
        operationId: 'listCreditAccounts',
        summary: 'List the accounts of a department',
        description:
          'First the department’s own, then those of its members and of who was one. Members see ' +
          'their own only. A page may be shorter than `limit`; the list ends where `next` is null.',
        querystring: accountsQuery,
        response: { 200: answer('A page of accounts', accountsPage) },
      },
    },
    (request) => views.accounts(callerOf(request), request.query),
  )
  app.get(
    '/v1/credits/entries',
    {
      config: { permission, problems: ['credits.account_not_found'] },
      schema: {
        tags,
        operationId: 'listCreditEntries',
        summary: 'List the ledger of an account, newest first',
        description: whose,
        querystring: entriesQuery,
        response: { 200: answer('A page of entries', entriesPage) },
      },
    },
    (request) => views.entries(callerOf(request), request.query),
  )
  registerExport(app, views)
}

function registerExport(app: ApiApp, views: CreditViews): void {
  app.get(
    '/v1/credits/entries/export',
    {
      handlerTimeout: exportMsMax,
      config: {
        permission,
        rateClass: 'Export',
        problems: ['credits.account_not_found'],
        answerHeaders: { 200: { 'Content-Disposition': 'A name for the file' } },
      },
      schema: {
        tags,
        operationId: 'exportCreditEntries',
        summary: 'Save the ledger of an account as CSV',
        description:
          'Newest first, at most 100,000 entries. When there are more, the last row has no id and ' +
          'says in its first cell how to get the rest.',
        querystring: entriesExportQuery,
        response: {
          200: {
            description: 'One line per entry (RFC 4180, UTF-8 with byte order mark)',
            content: { 'text/csv': { schema: z.unknown().meta({ type: 'string' }) } },
          },
        },
      },
    },
    async (request, reply) => {
      const file = await views.entriesCsv(callerOf(request), request.query)
      return reply
        .header('content-type', 'text/csv; charset=utf-8; header=present')
        .header('content-disposition', 'attachment; filename="atelier-ledger.csv"')
        .send(file)
    },
  )
}
