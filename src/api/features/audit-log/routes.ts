import { z } from 'zod'
import { auditExportQuery, auditLogPage, auditLogQuery } from '../../../shared/wire/audit-log.ts'
import { answer } from '../../plugins/answers.ts'
import type { ApiApp } from '../../plugins/api-app.ts'
import { callerOf } from '../../plugins/authentication.ts'
import type { AuditLogService } from './service.ts'

const tags = ['Audit log']
/** 100,000 rows over a slow line. */
const exportMsMax = 300_000

export function registerAuditLogRoutes(app: ApiApp, auditLog: AuditLogService): void {
  app.get(
    '/v1/audit-log',
    {
      config: { permission: 'audit_log.read' },
      schema: {
        tags,
        operationId: 'listAuditLog',
        summary: 'List who did what, newest first',
        description:
          'Super admins read all entries, department admins those about their own department.',
        querystring: auditLogQuery,
        response: { 200: answer('A page of entries', auditLogPage) },
      },
    },
    (request) => auditLog.list(callerOf(request), request.query),
  )
  registerExport(app, auditLog)
}

function registerExport(app: ApiApp, auditLog: AuditLogService): void {
  app.get(
    '/v1/audit-log/export',
    {
      handlerTimeout: exportMsMax,
      config: {
        permission: 'audit_log.read',
        rateClass: 'Export',
        answerHeaders: { 200: { 'Content-Disposition': 'A name for the file' } },
      },
      schema: {
        tags,
        operationId: 'exportAuditLog',
        summary: 'Save the audit log as CSV',
        description:
          'Newest first, at most 100,000 entries. When there are more, the last row has no id and ' +
          'says in its first cell how to get the rest.',
        querystring: auditExportQuery,
        response: {
          200: {
            description: 'One line per entry (RFC 4180, UTF-8 with byte order mark)',
            content: { 'text/csv': { schema: z.unknown().meta({ type: 'string' }) } },
          },
        },
      },
    },
    async (request, reply) => {
      const file = await auditLog.toCsv(callerOf(request), request.query)
      return reply
        .header('content-type', 'text/csv; charset=utf-8; header=present')
        .header('content-disposition', 'attachment; filename="atelier-audit-log.csv"')
        .send(file)
    },
  )
}
