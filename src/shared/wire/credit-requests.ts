import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { amount, creditExpiry, creditReason } from './credits.ts'
import { credits } from './jobs.ts'
import { personRef } from './ledger.ts'
import { pageQuery } from './pages.ts'

const creditRequestStates = ['Waiting', 'Approving', 'Approved', 'Declined', 'Withdrawn'] as const
const creditRequestState = z.enum(creditRequestStates)
export type CreditRequestState = z.infer<typeof creditRequestState>

const beneficiary = z.enum(['Member', 'Department'])
export type Beneficiary = z.infer<typeof beneficiary>

export const creditRequestId = labelName.meta({ description: 'Id of a request' })

export const newCreditRequest = z
  .strictObject({
    credits: amount,
    reason: creditReason,
    for: beneficiary.default('Member').meta({
      description:
        '`Member` asks your department for yourself; `Department` asks the super admins for ' +
        'the department that you run',
    }),
  })
  .meta({ examples: [{ credits: '50', reason: 'Pictures for the fair in Hannover' }] })
export type NewCreditRequest = z.infer<typeof newCreditRequest>

export const creditApproval = z
  .strictObject({
    credits: amount.optional().meta({
      description: 'Decimal credits, such as "100" or "2.5"; without it what was asked for',
    }),
    expiresTime: creditExpiry.meta({
      description: 'When what is left of them lapses; only for a department’s request',
    }),
  })
  .meta({ examples: [{ credits: '30' }] })
export type CreditApproval = z.infer<typeof creditApproval>

export const creditDecline = z
  .strictObject({ reason: creditReason })
  .meta({ examples: [{ reason: 'Ask again in March, please' }] })
export type CreditDecline = z.infer<typeof creditDecline>

export const creditRequestsQuery = pageQuery.extend({
  state: creditRequestState.optional().describe('Only requests in this state.'),
})
export type CreditRequestsQuery = z.infer<typeof creditRequestsQuery>

const exampleRequest = {
  id: 'cr-0f3a5c7e9b1d2f4a6c8e0b3d5f7a9c1e',
  for: 'Member',
  department: 'vision',
  user: { id: 'u-01kgx0d4s8c2m6p1r5t9v3y7za', name: 'Mina Moon' },
  credits: '50',
  reason: 'Pictures for the fair in Hannover',
  state: 'Approved',
  creationTime: '2026-03-02T09:15:42.118Z',
  decision: {
    by: { id: 'u-01kgy2h7k1n5q9s3v7x1z5b8de', name: 'Lee Lead' },
    time: '2026-03-02T10:00:00.000Z',
    credits: '30',
    expiresTime: null,
    reason: null,
  },
} as const

export const creditRequestView = z
  .object({
    id: creditRequestId,
    for: beneficiary,
    department: labelName,
    /** Who asked. */
    user: personRef,
    credits,
    reason: z.string(),
    /** `Approving` is for moments only: it goes on by itself. */
    state: creditRequestState,
    creationTime: z.iso.datetime(),
    /** Null while it waits. */
    decision: z
      .object({
        /** Null for what the platform does by itself. */
        by: personRef.nullable(),
        time: z.iso.datetime(),
        /** What was given; null when it was declined or withdrawn. */
        credits: credits.nullable(),
        expiresTime: z.iso.datetime().nullable(),
        /** Why it was declined, or withdrawn by the platform. */
        reason: z.string().nullable(),
      })
      .nullable(),
  })
  .meta({ id: 'CreditRequest', examples: [exampleRequest] })
export type CreditRequestView = z.infer<typeof creditRequestView>

export const creditRequestPage = z
  .object({ items: z.array(creditRequestView), next: z.string().nullable() })
  .meta({ id: 'CreditRequestPage', examples: [{ items: [exampleRequest], next: null }] })
