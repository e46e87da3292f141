import { z } from 'zod'
import {
  conditions,
  labelName,
  observedGeneration,
  type Resource,
  sha256,
  subdomainName,
  time,
} from './common.ts'

export const tasks = [
  'TextToImage',
  'ImageToImage',
  'Inpaint',
  'Cleanup',
  'RemoveBackground',
  'SuggestPrompt',
  'Upscale',
  'TextTo3D',
  'ImageTo3D',
] as const
export const task = z.enum(tasks)
export type Task = z.infer<typeof task>

/** A job id is a lower-case ULID of the api, or the uid of a job applied with kubectl. */
export const jobId = z
  .string()
  .min(26)
  .max(36)
  .regex(/^[0-9a-z-]+$/)

const ownerLimits = z.object({
  runningJobs: z.int().min(0).max(10_000).describe('Jobs of the user that run at once.').optional(),
  queuedJobs: z.int().min(0).max(1_000_000).describe('Jobs of the user that wait.').optional(),
})

/** Who pays: with `user` that user's account, without it the department's. */
export const owner = z.object({
  department: labelName.describe('Must equal the label atelier.dev/department of the namespace.'),
  user: labelName.describe('Whose account pays. Set by the api only.').optional(),
  limits: ownerLimits.describe('Caps of the user. Set by the api only.').optional(),
})
export type Owner = z.infer<typeof owner>

/** The tasks that make pictures with a diffusion model: what this release runs. */
export const pictureTasks = ['TextToImage', 'ImageToImage', 'Inpaint'] as const
export type PictureTask = (typeof pictureTasks)[number]

export function isPictureTask(given: Task): given is PictureTask {
  return pictureTasks.some((known) => known === given)
}

/** Where a job may run; what else the custom resource's field knows is of later releases. */
export const execution = z.enum(['Auto', 'Pooled', 'Dedicated'])

export const lorasMax = 8

export const loraChoice = z.object({
  name: labelName.describe('Name of a Model of type Lora, of the same family.'),
  scale: z.number().min(-4).max(4).describe('Its weight; 0 is off.').default(1),
})

/** What to make. Fields a task does not use are refused for it; absent ones come from the Model. */
export const parameters = z.object({
  prompt: z.string().max(4000).describe('What the result should show.').optional(),
  negativePrompt: z.string().max(4000).describe('What it should not show.').optional(),
  width: z.int().min(8).max(4096).multipleOf(8).describe('Pixels.').optional(),
  height: z.int().min(8).max(4096).multipleOf(8).describe('Pixels.').optional(),
  steps: z.int().min(1).max(100).describe('Denoising steps of one picture.').optional(),
  guidanceScale: z.number().min(1).max(20).describe('Weight of the prompt; 1 is off.').optional(),
  seed: z
    .int()
    .min(-1)
    .max(4_294_967_295)
    .describe('-1 draws one; otherwise the low 32 bits of torch manual_seed.')
    .optional(),
  scheduler: z.string().min(1).max(64).describe('Sampler, such as "DPM++ 2M Karras".').optional(),
  batchCount: z.int().min(1).max(100).describe('Batches, one after the other.').optional(),
  batchSize: z.int().min(1).max(16).describe('Pictures of one batch.').optional(),
  strength: z
    .number()
    .min(0)
    .max(1)
    .describe('How far the result may leave the input: 0 not at all, 1 wholly.')
    .optional(),
  resizeMode: z
    .enum(['Fit', 'Fill', 'Stretch'])
    .describe('How an input of another size becomes width × height; absent: it is refused.')
    .optional(),
  maskBlur: z
    .int()
    .min(0)
    .max(64)
    .describe('Radius in pixels of a Gaussian blur of the mask.')
    .optional(),
  inpaintArea: z
    .enum(['Whole', 'MaskedOnly'])
    .describe('MaskedOnly: the masked box alone is painted, at width × height, and put back.')
    .optional(),
  maskPadding: z
    .int()
    .min(0)
    .max(512)
    .describe('Pixels around the masked box, for inpaintArea MaskedOnly.')
    .optional(),
  keepUnmaskedPixels: z
    .boolean()
    .describe('Where the mask is black the result has the bytes of the input.')
    .optional(),
  promptSyntax: z
    .enum(['Plain', 'Weighted'])
    .describe('Weighted reads (word:1.2), (word) and [word]; a backslash escapes.')
    .optional(),
  promptOverflow: z
    .enum(['Chunk', 'Truncate'])
    .describe('What becomes of prompts of more than 75 tokens.')
    .optional(),
  loras: z.array(loraChoice).max(lorasMax).describe('LoRAs on top of the model.').optional(),
})
export type Parameters = z.infer<typeof parameters>

/** Key of an imported object: `imports/<department>/…`, no segment that begins with a dot. */
export const importKey = z
  .string()
  .max(1024)
  .regex(/^imports(\/[A-Za-z0-9_-][A-Za-z0-9._-]*)+$/)

/** Exactly one of `artifact`, `object`, `configMapRef`: never a URL. */
export const input = z.object({
  role: z.enum(['Image', 'Mask', 'Reference']).describe('What the task uses it as.'),
  artifact: z
    .string()
    .min(1)
    .max(253)
    .describe('Id of an artifact that the owner may read.')
    .optional(),
  object: z
    .object({
      key: importKey.describe('Object key under imports/<department>/.'),
      sha256: sha256.describe('Of the object, in hexadecimal.'),
    })
    .describe('An imported object.')
    .optional(),
  configMapRef: z
    .object({
      name: subdomainName.describe('ConfigMap of the same namespace.'),
      key: z
        .string()
        .max(253)
        .regex(/^[-._a-zA-Z0-9]+$/)
        .describe('Key in data or binaryData.'),
    })
    .describe('At most 1 MiB of a ConfigMap.')
    .optional(),
})
export type Input = z.infer<typeof input>

export const generationJobSpec = z
  .object({
    jobId: jobId.describe('Id of the job in the api; absent: metadata.uid. Immutable.').optional(),
    owner: owner.describe('Who pays. Immutable.'),
    task: task.describe('Kind of work. Immutable.'),
    modelRef: z
      .object({ name: labelName.describe('Name of a Model.') })
      .describe('The Model that does the work. Immutable.'),
    parameters: parameters.describe('What to make; absent fields come from the Model. Immutable.'),
    inputs: z
      .array(input)
      .max(64)
      .describe('Files to work on: each exactly one of artifact, object, configMapRef. Immutable.')
      .optional(),
    execution: z
      .enum([...execution.options, 'External'])
      .describe('Warm pod, own pod, or whichever is sooner. Immutable.')
      .default('Auto'),
    placement: z
      .object({ server: labelName.describe('GPU server to run on.').optional() })
      .describe('Where to run. Immutable.')
      .optional(),
    priority: z
      .int()
      .min(0)
      .max(100)
      .describe('Larger is sooner among the jobs of one owner.')
      .default(50),
    suspend: z
      .boolean()
      .describe('True ends the running attempt uncharged and keeps the job waiting.')
      .default(false),
    cancel: z.boolean().describe('True ends the job; it cannot go back.').default(false),
    backoffLimit: z
      .int()
      .min(0)
      .max(10)
      .describe('Failed attempts that are tried again.')
      .default(2),
    activeDeadlineSeconds: z
      .int()
      .min(1)
      .max(604_800)
      .describe('From the first pod start; pauses while suspended.')
      .default(3600),
    queueTimeoutSeconds: z
      .int()
      .min(1)
      .max(2_592_000)
      .describe('How long the job may wait, from its creation.')
      .default(86_400),
    ttlSecondsAfterFinished: z
      .int()
      .min(0)
      .max(31_536_000)
      .describe('When a finished and settled object is deleted.')
      .default(86_400),
  })
  .describe('What is wanted.')
export type GenerationJobSpec = z.infer<typeof generationJobSpec>

export const output = z.object({
  name: z.string().min(1).max(253),
  key: z.string().min(1).max(1024).describe("Object key under the job's own prefix."),
  sha256,
  sizeBytes: z.int().min(0).max(10_737_418_240),
  contentType: z.string().min(1).max(127),
  width: z.int().min(0).max(65_536).optional(),
  height: z.int().min(0).max(65_536).optional(),
  seed: z.int().min(0).max(4_294_967_295).optional(),
  inputChanges: z
    .array(z.string().max(200))
    .max(16)
    .describe('What was done to the inputs before the model saw them.')
    .optional(),
})
export type Output = z.infer<typeof output>

const attemptOutcome = z.enum([
  'Completed',
  'Cancelled',
  'InvalidInput',
  'Failed',
  'Suspended',
  'Disrupted',
])
export type AttemptEnd = z.infer<typeof attemptOutcome>

/** Whether nothing of an attempt counts: it costs nothing, and what it stored is not kept. */
export function deliversNothing(end: AttemptEnd | undefined): boolean {
  return end === 'Suspended' || end === 'Disrupted'
}

const attemptStatus = z.object({
  number: z.int().min(1).max(1000),
  podName: z.string().max(253).optional(),
  podUID: z.string().max(64).optional(),
  nodeName: z.string().max(253).optional(),
  pool: labelName
    .describe('ModelPool whose pod does the job; absent: a pod of its own.')
    .optional(),
  runner: z.string().max(64).describe('Process of the pool pod that has the job.').optional(),
  startTime: time.optional(),
  outcome: attemptOutcome.describe('How it ended; absent while it runs.').optional(),
})

export const generationJobStatus = z
  .object({
    observedGeneration: observedGeneration.optional(),
    conditions: conditions.optional(),
    attempt: attemptStatus.describe('The current attempt.').optional(),
    failedAttempts: z
      .int()
      .min(0)
      .max(1000)
      .describe('Attempts that count against spec.backoffLimit.')
      .optional(),
    disruptedAttempts: z
      .int()
      .min(0)
      .max(1000)
      .describe('Attempts that the platform ended: not counted against spec.backoffLimit.')
      .optional(),
    startTime: time
      .describe('First pod start: spec.activeDeadlineSeconds counts from here.')
      .optional(),
    activeSeconds: z
      .int()
      .min(0)
      .max(31_536_000)
      .describe('Active seconds of finished attempts: suspension pauses the deadline.')
      .optional(),
    retryTime: time.describe('When the next attempt may start.').optional(),
    completionTime: time.describe('When the job ended.').optional(),
    outputs: z.array(output).max(1600).describe('Stored results.').optional(),
    summary: z.string().max(32).describe('Delivered and wanted pictures, such as 3/4.').optional(),
  })
  .describe('Written by the controller only.')
export type GenerationJobStatus = z.infer<typeof generationJobStatus>

export type GenerationJob = Resource<GenerationJobSpec, GenerationJobStatus>
