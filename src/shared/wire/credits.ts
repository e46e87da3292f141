import { z } from 'zod'
import { labelName, time } from '../crd/common.ts'
import { accountLimits } from '../domain/account.ts'
import { credits } from './jobs.ts'
import { line, opaque } from './text.ts'

/** What moves: at most 999999.999999 credits at once, so that sums stay exact. */
export const amount = z
  .string()
  .max(13)
  .regex(/^[0-9]{1,6}(\.[0-9]{1,6})?$/)
  .refine((text) => /[1-9]/.test(text), { error: 'must be more than 0' })
  .meta({ description: 'Decimal credits, such as "100" or "2.5"' })

export const creditReason = line({ max: 200 })
const reason = creditReason.optional().meta({ description: 'Why, for those whom it concerns' })

export const creditExpiry = time
  .nullable()
  .default(null)
  .meta({ description: 'When what is left of them lapses; null is never' })

export const issueRequest = z
  .strictObject({
    department: labelName,
    user: labelName.optional().meta({
      description: 'Id of a person of the department; without it the department’s account',
    }),
    credits: amount,
    expiresTime: creditExpiry,
    reason,
  })
  .meta({ examples: [{ department: 'vision', credits: '100', reason: 'Budget of March' }] })
export type IssueRequest = z.infer<typeof issueRequest>

export const distributionRequest = z
  .strictObject({
    department: labelName,
    members: z
      .array(z.strictObject({ user: labelName, credits: amount }))
      .min(1)
      .max(accountLimits.recipientsMax)
      .meta({ description: 'Different active members of the department' }),
    reason,
  })
  .meta({
    examples: [
      {
        department: 'vision',
        members: [
          { user: 'u-01kgx0d4s8c2m6p1r5t9v3y7za', credits: '20' },
          { user: 'u-01kgy2h7k1n5q9s3v7x1z5b8de', credits: '2.5' },
        ],
        reason: 'For the fair in Hannover',
      },
    ],
  })
export type DistributionRequest = z.infer<typeof distributionRequest>

export const revocationRequest = z
  .strictObject({
    department: labelName,
    user: labelName.optional().meta({
      description:
        'From this person’s account back to the department; without it from the department’s ' +
        'account back to the platform',
    }),
    credits: amount.optional().meta({
      description: 'Decimal credits, such as "100" or "2.5"; without it everything unused',
    }),
    reason,
  })
  .meta({
    examples: [{ department: 'vision', user: 'u-01kgx0d4s8c2m6p1r5t9v3y7za', reason: 'Has left' }],
  })
export type RevocationRequest = z.infer<typeof revocationRequest>

export const adjustmentRequest = z
  .strictObject({
    entry: opaque({ max: 300 }).meta({ description: 'Id of the entry that took too much' }),
    credits: amount,
    expiresTime: creditExpiry,
    reason: creditReason,
  })
  .meta({
    examples: [
      {
        entry: '01kgy3m9t4q8w2e6r0v5n7b1xc:settle',
        credits: '1.5',
        reason: 'The picture was black',
      },
    ],
  })
export type AdjustmentRequest = z.infer<typeof adjustmentRequest>

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

const exampleBalance = {
  department: 'vision',
  user: null,
  available: '977.5',
  held: '0',
  spent: '0',
} as const
const exampleMember = {
  ...exampleBalance,
  user: 'u-01kgx0d4s8c2m6p1r5t9v3y7za',
  available: '20',
} as const

/** `id` is that of the entry in the ledger of the account that gave. */
export const distributionView = z
  .object({
    id: z.string(),
    credits,
    department: balanceView,
    members: z.array(balanceView),
  })
  .meta({
    id: 'Distribution',
    examples: [
      {
        id: 'rest:5f0c…:distribute',
        credits: '20',
        department: exampleBalance,
        members: [exampleMember],
      },
    ],
  })
export type DistributionView = z.infer<typeof distributionView>

export const revocationView = z
  .object({
    id: z.string(),
    /** What was there to take. */
    credits,
    department: balanceView,
    /** Null when the department itself gave back. */
    member: balanceView.nullable(),
  })
  .meta({
    id: 'Revocation',
    examples: [
      { id: 'rest:5f0c…:revoke', credits: '12', department: exampleBalance, member: null },
    ],
  })
export type RevocationView = z.infer<typeof revocationView>

export const adjustmentView = z.object({ id: z.string(), credits, account: balanceView }).meta({
  id: 'Adjustment',
  examples: [
    {
      id: '01kgy3m9t4q8w2e6r0v5n7b1xc:settle:adjust',
      credits: '1.5',
      account: exampleMember,
    },
  ],
})
export type AdjustmentView = z.infer<typeof adjustmentView>
