import { z } from 'zod'

/** How far rows, custom resources, holds, entries and objects disagree; 0 is the healthy answer. */
export const auditView = z
  .object({
    drift: z.int().min(0),
    differences: z.array(z.object({ kind: z.string(), id: z.string(), message: z.string() })),
    checked: z.object({
      rows: z.int().min(0),
      accounts: z.int().min(0),
      resources: z.int().min(0),
    }),
  })
  .meta({ id: 'Audit' })
export type AuditView = z.infer<typeof auditView>
