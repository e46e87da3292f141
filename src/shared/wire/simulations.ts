import { z } from 'zod'
import { time } from '../crd/common.ts'
import { credits } from './jobs.ts'

const simulatedJobs = z.object({
  count: z.int().min(1),
  price: credits.meta({ description: 'Of all of them' }),
  estimatedStartTime: time.nullable().meta({ description: 'Of the first; null: nobody knows' }),
  estimatedCompletionTime: time.nullable().meta({ description: 'Of the last; null: nobody knows' }),
})

/** What some jobs would cost, and when they would start and end if they were submitted now. */
export const simulationView = z
  .object({
    jobs: z.array(simulatedJobs).meta({ description: 'In the order of the request' }),
    price: credits.meta({ description: 'Of all jobs' }),
    available: credits,
    balanceAfter: credits.meta({ description: 'Below 0 when credits are missing' }),
    missing: credits.optional().meta({ description: 'Present when not all would be accepted' }),
    startsKnown: z.boolean().meta({
      description: 'False: no controller answered, so that all times are null',
    }),
  })
  .meta({
    id: 'Simulation',
    examples: [
      {
        jobs: [
          {
            count: 10,
            price: '10',
            estimatedStartTime: '2026-11-21T14:30:05Z',
            estimatedCompletionTime: '2026-11-21T14:31:40Z',
          },
        ],
        price: '10',
        available: '20',
        balanceAfter: '10',
        startsKnown: true,
      },
    ],
  })
export type SimulationView = z.infer<typeof simulationView>
