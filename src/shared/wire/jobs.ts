import { z } from 'zod'
import { condition } from '../crd/common.ts'
import { output, owner, parameters, task } from '../crd/generation-job.ts'
import { exampleJob } from './job-examples.ts'
import { progress } from './internal.ts'
import { queueView } from './queue-view.ts'

const jobStates = ['Accepting', 'Pending', 'Running', 'Completed', 'Cancelled', 'Failed'] as const
export const jobState = z.enum(jobStates)
export type JobState = z.infer<typeof jobState>

/** Decimal credits as a string with at most six places, such as "1.5": never a float. */
export const credits = z.string().regex(/^-?[0-9]+(\.[0-9]{1,6})?$/)

/** What a job makes the model do, over all its pictures; null for one that can never run. */
const priceBasis = z.object({
  images: z.int().min(0),
  /** Evaluations of the model; the two guidance passes of one count once. */
  modelCalls: z.int().min(0),
  megapixels: z.number().min(0),
})

/** An output of a job, or a picture that somebody uploaded: either may be an input. */
export const artifact = output
  .omit({ key: true })
  .extend({
    id: z.string(),
    /** Signed, expires at `urlExpiresTime`; ask again for a fresh one. */
    url: z.string(),
    urlExpiresTime: z.iso.datetime(),
  })
  .meta({ id: 'Artifact', examples: exampleJob.outputs })
export type Artifact = z.infer<typeof artifact>

export const jobView = z
  .object({
    id: z.string(),
    task,
    model: z.string(),
    owner: owner.pick({ department: true, user: true }),
    parameters,
    state: jobState,
    /** The reason of the condition that explains `state`, with its sentence. */
    reason: z.string(),
    message: z.string(),
    conditions: z.array(condition),
    progress: progress.omit({ sequence: true, preview: true }).nullable(),
    outputs: z.array(artifact),
    /** When the outputs of an ended job are removed; null: never, or it runs, or they are. */
    outputsExpireTime: z.iso.datetime().nullable(),
    /** Since then `outputs` is empty although the job may have made pictures. */
    outputsRemovedTime: z.iso.datetime().nullable(),
    cost: z.object({ held: credits, charged: credits.nullable(), basis: priceBasis.nullable() }),
    queue: queueView.nullable().optional().meta({
      description: 'Null: it does not wait. Absent in live messages and in answers to POST',
    }),
    /** Grows with every change; the id of the SSE event. */
    revision: z.int(),
    creationTime: z.iso.datetime(),
    startTime: z.iso.datetime().nullable(),
    completionTime: z.iso.datetime().nullable(),
    resource: z.object({ namespace: z.string(), name: z.string() }).nullable(),
    urls: z.object({ self: z.string(), events: z.string(), cancel: z.string() }),
  })
  .meta({ id: 'Job', examples: [exampleJob] })
export type JobView = z.infer<typeof jobView>

export const jobPage = z
  .object({ items: z.array(jobView), next: z.string().nullable() })
  .meta({ id: 'JobPage' })
