import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { auditActions } from '../domain/audit-actions.ts'
import { pageQuery } from './pages.ts'
import { line } from './text.ts'

/** Which entries are meant; all of them together. */
const filters = {
  action: z.enum(auditActions).optional(),
  actor: line({ max: 200 })
    .optional()
    .describe('Id of the person who did it, or name of the task that did.'),
  target: line({ max: 200 }).optional().describe('Id of who or what was changed.'),
  department: labelName.optional().describe('Department that the entry is about.'),
  from: z.iso.datetime({ offset: true }).max(40).optional().describe('Not before this time.'),
  until: z.iso.datetime({ offset: true }).max(40).optional().describe('Before this time.'),
}

export const auditExportQuery = z.strictObject(filters)
export type AuditFilters = z.infer<typeof auditExportQuery>

export const auditLogQuery = pageQuery.extend(filters)
export type AuditLogQuery = z.infer<typeof auditLogQuery>

const exampleEntry = {
  id: '01kgy3m9t4q8w2e6r0v5n7b1xc',
  time: '2026-03-02T09:15:42.118Z',
  action: 'user.approved',
  actor: {
    kind: 'User',
    id: 'u-01kgx0d4s8c2m6p1r5t9v3y7za',
    role: 'department_admin',
    department: 'quality',
  },
  target: { kind: 'user', id: 'u-01kgy2h7k1n5q9s3v7x1z5b8de', department: 'quality' },
  before: { role: 'guest' },
  after: { role: 'department_member' },
  origin: {
    ip: '203.0.113.7',
    userAgent: 'Mozilla/5.0',
    requestId: '01kgy3m9sz0a4c8e2g6j1m5p9r',
  },
} as const

/** Only the fields that changed; never a password, code, token or key. */
const values = z
  .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
  .nullable()

const auditEntryView = z
  .object({
    id: z.string(),
    time: z.iso.datetime(),
    action: z.enum(auditActions),
    actor: z.object({
      kind: z.enum(['User', 'System']),
      /** User id, or the name of the task or program. */
      id: z.string(),
      role: z.string().nullable(),
      department: z.string().nullable(),
      /** Of the API key that was used. */
      keyId: z.string().nullable().optional(),
    }),
    target: z.object({ kind: z.string(), id: z.string(), department: z.string().nullable() }),
    before: values,
    after: values,
    /** Null for what no request caused. */
    origin: z.object({ ip: z.string(), userAgent: z.string(), requestId: z.string() }).nullable(),
  })
  .meta({ id: 'AuditEntry', examples: [exampleEntry] })
export type AuditEntryView = z.infer<typeof auditEntryView>

export const auditLogPage = z
  .object({ items: z.array(auditEntryView), next: z.string().nullable() })
  .meta({ id: 'AuditLogPage' })
