import { z } from 'zod'
import { delivery } from '../crd/model.ts'
import { generationJobSpec, input, output, parameters, task } from '../crd/generation-job.ts'

/**
 * The contract of the api's internal port. Callers prove who they are with a projected
 * service-account token of audience `internalAudience`:
 *
 *   controller  PUT  /internal/v1/jobs/{jobId}/hold                     holdRequest → hold
 *               GET  /internal/v1/jobs/{jobId}/attempts/{n}/report      → attemptReport
 *               GET  /internal/v1/jobs/{jobId}/settlement               → settlement
 *   job pod     GET  /internal/v1/jobs/{jobId}/attempts/{n}/work        → work
 *               POST /internal/v1/jobs/{jobId}/attempts/{n}/uploads     uploadsRequest → uploads
 *               POST /internal/v1/jobs/{jobId}/attempts/{n}/progress    progress → 204
 *               POST /internal/v1/jobs/{jobId}/attempts/{n}/report      report → 204
 *
 * A pod may call only for the attempt whose `status.attempt.podUID` is its own uid; until the
 * api's cache shows that, it is answered 409 `attempt.not_current` and asks again.
 */
export const internalPrefix = '/internal/v1'

export const holdRequest = z.object({
  uid: z.string().min(1).max(64),
  namespace: z.string().min(1).max(63),
  name: z.string().min(1).max(63),
  spec: generationJobSpec,
})
export type HoldRequest = z.infer<typeof holdRequest>

/**
 * `Held`: go on. `Waiting`: no credits or too many holds now, ask again later.
 * `Refused`: the job can never run; it ends with InvalidInput.
 * `Ended`: the hold was settled, voided or expired before.
 */
export const hold = z.object({
  state: z.enum(['Held', 'Waiting', 'Refused', 'Ended']),
  reason: z.enum(['Reserved', 'InsufficientCredits', 'HoldLimit', 'InvalidInput', 'Ended']),
  message: z.string().max(1024),
  microCredits: z.int().min(0),
})
export type Hold = z.infer<typeof hold>

/** To be fetched; the api knows what its bytes are. */
const linkedInput = input
  .pick({ role: true })
  .extend({ url: z.url(), sha256: z.string(), sizeBytes: z.int().min(0) })

/**
 * A key of a ConfigMap: the file of this name in the folder that `podEnvironment.inputsFolder`
 * names. It is absent when the ConfigMap or the key does not exist.
 */
const mountedInput = input.pick({ role: true }).extend({ file: z.string() })

export const work = z.object({
  task,
  model: z.object({ name: z.string(), delivery, digest: z.string().optional() }),
  /** Complete: absent fields of the request were filled from the Model's defaults at hold time. */
  parameters,
  /** In the order of the job's inputs. */
  inputs: z.array(z.union([linkedInput, mountedInput])),
  /** In the order of `parameters.loras`; the variable `loraFolderVariable(index)` has its folder. */
  loras: z.array(z.object({ name: z.string(), digest: z.string().optional(), scale: z.number() })),
  /** Whether prompt, seed and settings go into the pictures as text; absent: they do. */
  embedRecipe: z.boolean().optional(),
})
export type Work = z.infer<typeof work>

export const uploadsRequest = z.object({
  outputs: z
    .array(
      output.omit({ key: true }).extend({ name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,127}$/) }),
    )
    .min(1)
    .max(64),
})
export type UploadsRequest = z.infer<typeof uploadsRequest>

export const uploads = z.object({
  uploads: z.array(
    z.object({ name: z.string(), key: z.string(), url: z.url(), expiresTime: z.iso.datetime() }),
  ),
})
export type Uploads = z.infer<typeof uploads>

/** How far the init container is that fetches the packs of a job. */
const fetchProgress = z.object({
  bytesDone: z.int().min(0),
  bytesTotal: z.int().min(0),
  /** At the speed of the last seconds; null while nothing comes. */
  secondsRemaining: z.int().min(0).nullable(),
})
export type FetchProgress = z.infer<typeof fetchProgress>

const stages = [
  'FetchingModel',
  'LoadingModel',
  'EncodingPrompt',
  'Denoising',
  'Decoding',
  'Uploading',
] as const

/** A full snapshot; a larger `sequence` replaces a smaller one, never the reverse. At most 2/s. */
export const progress = z.object({
  sequence: z.int().min(1),
  stage: z.enum(stages),
  /** In the stage FetchingModel only, where all other counts are 0. */
  fetch: fetchProgress.optional(),
  /** Model calls of the current picture: one may be two passes, with and without the prompt. */
  step: z.int().min(0),
  steps: z.int().min(0),
  imagesDone: z.int().min(0),
  images: z.int().min(0),
  /** Model calls finished over all pictures, for the price. */
  stepsDone: z.int().min(0),
  /** A small JPEG of the picture as it is now, in base64. Passed on to watchers, never stored. */
  preview: z
    .string()
    .max(65_536)
    .regex(/^[A-Za-z0-9+/]+={0,2}$/)
    .optional(),
})
export type Progress = z.infer<typeof progress>

const reportReasons = ['Completed', 'Cancelled', 'InvalidInput', 'Failed'] as const

export const report = z.object({
  reason: z.enum(reportReasons),
  message: z.string().max(4096),
  outputs: z.array(output).max(1600),
  /** Model calls over all pictures. */
  stepsDone: z.int().min(0),
  /** Seconds by phase, for the history and metrics. */
  timings: z.record(z.string().max(64), z.number().min(0)).optional(),
})
export type Report = z.infer<typeof report>

/** `report` is null when the pod died without one: outputs are then the confirmed uploads. */
export const attemptReport = z.object({
  report: report.nullable(),
  outputs: z.array(output).max(1600),
  stepsDone: z.int().min(0),
})
export type AttemptReport = z.infer<typeof attemptReport>

export const settlement = z.object({
  state: z.enum(['Open', 'Settled', 'Voided', 'Expired', 'Unknown']),
})
export type Settlement = z.infer<typeof settlement>
