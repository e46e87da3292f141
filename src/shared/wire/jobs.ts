import { z } from 'zod'
import { condition, labelName } from '../crd/common.ts'
import { input, output, owner, parameters, task } from '../crd/generation-job.ts'
import { exampleJob, exampleRequest } from './job-examples.ts'
import { progress } from './internal.ts'

/** Text that every part can carry: PNG text chunks know no NUL and UTF-8 no half pairs. */
const plainText = z
  .string()
  .max(4000)
  .refine((text) => text.isWellFormed() && !text.includes('\0'), 'holds a NUL or half a pair')
  .optional()

/** REST shapes of a job: the same words as the custom resource, see docs/architecture.md. */
export const jobRequest = z
  .strictObject({
    task,
    model: labelName,
    /** Unknown fields are refused, so that a misspelt one is noticed. */
    parameters: z.strictObject({
      ...parameters.shape,
      prompt: plainText,
      negativePrompt: plainText,
    }),
    inputs: z.array(z.strictObject(input.shape)).max(64).optional(),
    priority: z.int().min(0).max(100).optional(),
  })
  .meta({ examples: [exampleRequest] })
export type JobRequest = z.infer<typeof jobRequest>

const jobStates = ['Accepting', 'Pending', 'Running', 'Completed', 'Cancelled', 'Failed'] as const
export const jobState = z.enum(jobStates)
export type JobState = z.infer<typeof jobState>

/** Decimal credits as a string with at most six places, such as "1.5": never a float. */
export const credits = z.string().regex(/^-?[0-9]+(\.[0-9]{1,6})?$/)

export const jobArtifact = output
  .omit({ key: true })
  .extend({
    id: z.string(),
    /** Signed, expires at `urlExpiresTime`; ask again for a fresh one. */
    url: z.string(),
    urlExpiresTime: z.iso.datetime(),
  })
  .meta({ id: 'Artifact', examples: exampleJob.outputs })
export type JobArtifact = z.infer<typeof jobArtifact>

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
    progress: progress.omit({ sequence: true }).nullable(),
    outputs: z.array(jobArtifact),
    cost: z.object({ held: credits, charged: credits.nullable() }),
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
