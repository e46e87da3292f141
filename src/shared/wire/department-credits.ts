import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { budgetView } from './departments.ts'
import { credits } from './jobs.ts'

const month = z.string().regex(/^\d{4}-\d{2}$/)

/** Sums over the account of a department and those of everybody who was ever its member. */
export const departmentCreditsView = z
  .object({
    department: labelName,
    totals: z.object({
      /** By super admins and as monthly budgets, since the beginning. */
      issued: credits,
      /** Free on the department's own account. */
      available: credits,
      /** Free on its members' accounts. */
      distributed: credits,
      /** Reserved by open jobs. */
      held: credits,
      /** Charged for jobs, less what was given back. */
      spent: credits,
      expired: credits,
      /** Taken back by super admins. */
      revoked: credits,
    }),
    thisMonth: z.object({
      /** Of UTC. */
      month,
      /** What was issued as this month's budget; null while there is none. */
      budget: credits.nullable(),
      /** All of the budget that is free on no account: spent, held or lapsed, but not revoked. */
      used: credits,
      /** Of the budget without what was revoked; whole percents, rounded down; null without one. */
      percent: z.int().min(0).max(100).nullable(),
      /** Charged in this month for all jobs, whichever credits paid. */
      spent: credits,
    }),
    nextMonth: z.object({ month, budget: budgetView.nullable() }),
  })
  .meta({
    id: 'DepartmentCredits',
    examples: [
      {
        department: 'vision',
        totals: {
          issued: '1200',
          available: '310.5',
          distributed: '220',
          held: '12.25',
          spent: '640.25',
          expired: '17',
          revoked: '0',
        },
        thisMonth: { month: '2026-11', budget: '100', used: '83', percent: 83, spent: '91.5' },
        nextMonth: { month: '2026-12', budget: { credits: '100', carryOver: 'NextMonth' } },
      },
    ],
  })
export type DepartmentCreditsView = z.infer<typeof departmentCreditsView>
