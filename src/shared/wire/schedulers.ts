import { z } from 'zod'

const schedulerView = z
  .object({
    /** What jobs and pictures carry. */
    name: z.string(),
    /** Other words for it that a request may use, in any case. */
    aliases: z.array(z.string()),
    /** Its class in diffusers. */
    className: z.string(),
    /** Asks the model twice for every step but the last. */
    secondOrder: z.boolean(),
    /** Draws fresh noise while it steps. */
    stochastic: z.boolean(),
    /** Put in place of those of the model's own scheduler file. */
    settings: z.record(z.string(), z.union([z.string(), z.boolean()])),
  })
  .meta({ id: 'Scheduler' })
export type SchedulerView = z.infer<typeof schedulerView>

export const schedulerList = z
  .object({ items: z.array(schedulerView) })
  .meta({ id: 'SchedulerList' })
