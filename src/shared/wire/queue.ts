import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { execution, owner, tasks } from '../crd/generation-job.ts'

/**
 * What the api asks the controller that leads, at the address in the annotation
 * `annotations.leaderAddress` of the Lease `controllerLease`, in the form `host:port`:
 *
 *   POST /v1/queue/explain    explainRequest  → explainAnswer
 *   POST /v1/queue/simulate   simulateRequest → simulateAnswer
 *
 * The api proves who it is with a projected service-account token of audience
 * `controllerAudience`. Refusals are problems (RFC 9457); 503 from a controller that does not
 * lead or has too many questions. Nothing here is ever stored: asked again, it may differ.
 */
export const queuePrefix = '/v1/queue'

/** Jobs of one question. */
export const queueJobsMax = 200

/**
 * Why a job that has all that it needs beforehand has not started. The first six are
 * `WaitReason` of admission.
 */
export const liveReasons = [
  'UserLimit',
  'DepartmentLimit',
  'WaitingForGpu',
  'NoMatchingGpu',
  'ModelLoading',
  'PoolScalingUp',
  /**
   * It has its place, but Kueue has not admitted it, or Kubernetes makes no pod: above all because
   * of a ResourceQuota.
   */
  'WaitingForQuota',
  /** It has its place, and its pod is on the way. */
  'Starting',
  /** The last attempt failed, and the next one waits a while. */
  'BackingOff',
] as const
export type LiveReason = (typeof liveReasons)[number]

const moment = z.iso.datetime()
const count = z.int().min(0).max(Number.MAX_SAFE_INTEGER)

export const explainRequest = z.strictObject({
  /** Of GenerationJobs. */
  uids: z.array(z.string().min(1).max(64)).min(1).max(queueJobsMax),
})
export type ExplainRequest = z.infer<typeof explainRequest>

const explainedJob = z.object({
  uid: z.string(),
  reason: z.enum(liveReasons),
  /** From 1, among the waiting jobs of its owner; null while it is not in the queue. */
  position: count.min(1).nullable(),
  /** How many waiting jobs, of anybody, probably start before it. */
  aheadEstimate: count.nullable(),
  /** Null while nothing is known about how long such jobs take. */
  estimatedStartTime: moment.nullable(),
  estimatedEndTime: moment.nullable(),
  /** `Extrapolated`: drawn on from the pace of the jobs before it. */
  basis: z.enum(['Planned', 'Extrapolated', 'Unknown']),
})
export type ExplainedJob = z.infer<typeof explainedJob>

/** A job that does not wait, or that nobody knows, is absent. */
export const explainAnswer = z.object({ jobs: z.array(explainedJob).max(queueJobsMax) })
export type ExplainAnswer = z.infer<typeof explainAnswer>

const wantedJobs = z.strictObject({
  task: z.enum(tasks),
  model: labelName,
  loras: z.array(labelName).max(8),
  priority: z.int().min(0).max(100),
  execution: execution.default('Auto'),
  /** Megapixel-steps of one of them. */
  work: z.number().min(0),
  count: z.int().min(1).max(queueJobsMax),
})
export type WantedJobs = z.infer<typeof wantedJobs>

export const simulateRequest = z.strictObject({
  owner,
  /** Where they would be made. */
  namespace: labelName,
  jobs: z
    .array(wantedJobs)
    .min(1)
    .max(queueJobsMax)
    .refine((jobs) => jobs.reduce((sum, wanted) => sum + wanted.count, 0) <= queueJobsMax),
})
export type SimulateRequest = z.infer<typeof simulateRequest>

/** When the first of some wanted jobs starts and the last ends; null when that is not known. */
const simulatedJobs = z.object({
  estimatedStartTime: moment.nullable(),
  estimatedEndTime: moment.nullable(),
})
export type SimulatedJobs = z.infer<typeof simulatedJobs>

/** In the order of the question. */
export const simulateAnswer = z.object({ jobs: z.array(simulatedJobs).max(queueJobsMax) })
export type SimulateAnswer = z.infer<typeof simulateAnswer>
