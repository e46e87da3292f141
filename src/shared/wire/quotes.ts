import { z } from 'zod'
import { time } from '../crd/common.ts'
import { exampleQuote } from './job-examples.ts'
import { credits } from './jobs.ts'

const priceLine = z.object({
  name: z.enum(['Job', 'Image', 'MegapixelStep', 'TrainingStep']),
  quantity: z
    .string()
    .regex(/^[0-9]+(\.[0-9]{1,6})?$/)
    .meta({ description: 'How often the rate is due, such as "5.24288" megapixel-steps' }),
  rate: credits,
  price: credits.meta({ description: 'Each picture is rounded up to a millionth of a credit' }),
})

/** What a job would cost now. */
export const quoteView = z
  .object({
    id: z.string().nullable().meta({
      description: '`quote` of POST /v1/jobs; null for a dry run, which promises nothing',
    }),
    price: credits,
    breakdown: z.array(priceLine).meta({ description: 'The lines of the Model’s rates' }),
    available: credits,
    balanceAfter: credits.meta({ description: 'Below 0 when credits are missing' }),
    missing: credits.optional().meta({ description: 'Present when the job would be refused' }),
    expiresTime: time.nullable(),
  })
  .meta({ id: 'Quote', examples: [exampleQuote] })
export type QuoteView = z.infer<typeof quoteView>
