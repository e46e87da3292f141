import { z } from 'zod'
import { differenceKinds, differenceMeanings } from '../domain/audit-differences.ts'

const differenceKind = z.enum(differenceKinds).meta({
  id: 'DifferenceKind',
  description: differenceKinds.map((kind) => `${kind}: ${differenceMeanings[kind]}`).join(' '),
})

const count = z.int().min(0)

/** How far rows, custom resources, holds, entries and objects disagree; 0 is the healthy answer. */
export const auditView = z
  .object({
    drift: count,
    differences: z.array(
      z.object({
        kind: differenceKind,
        /** Job, account or entry id, object key, picture id or name of a department. */
        id: z.string(),
        message: z.string(),
      }),
    ),
    checked: z.object({
      rows: count,
      accounts: count,
      entries: count,
      resources: count,
      artifacts: count,
    }),
  })
  .meta({
    id: 'Audit',
    examples: [
      {
        drift: 1,
        differences: [
          {
            kind: 'OrphanHold',
            id: '01jd3v9k2n4m6p8r0t2w4y6a8c',
            message: 'the job has ended',
          },
        ],
        checked: { rows: 120, accounts: 14, entries: 391, resources: 3, artifacts: 240 },
      },
    ],
  })
export type AuditView = z.infer<typeof auditView>
