import { z } from 'zod'
import { labelName, time } from '../crd/common.ts'
import { credits } from './jobs.ts'

export const issueRequest = z
  .strictObject({
    department: labelName,
    user: labelName.optional().meta({
      description: 'Id of a person of the department; without it the department’s account',
    }),
    credits: z
      .string()
      .max(13)
      .regex(/^[0-9]{1,6}(\.[0-9]{1,6})?$/)
      .refine((text) => /[1-9]/.test(text), { error: 'must be more than 0' })
      .meta({ description: 'Decimal credits, such as "100" or "2.5"' }),
    expiresTime: time
      .nullable()
      .default(null)
      .meta({ description: 'When what is left of them lapses; null is never' }),
  })
  .meta({ examples: [{ department: 'vision', credits: '100' }] })
export type IssueRequest = z.infer<typeof issueRequest>

export const balanceView = z
  .object({
    department: labelName,
    user: labelName.nullable(),
    available: credits,
    held: credits,
    spent: credits,
  })
  .meta({ id: 'Balance' })
export type BalanceView = z.infer<typeof balanceView>
