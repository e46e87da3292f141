import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import {
  execution,
  input,
  loraChoice,
  lorasMax,
  parameters,
  pictureTasks,
} from '../crd/generation-job.ts'
import { exampleRequests } from './job-examples.ts'
import { line, lines, opaque } from './text.ts'

/** The custom resource takes any text; people's is cleaned at this border. */
const promptText = lines({ max: 4000 })

/** Unknown fields are refused everywhere, so that a misspelt one is noticed. */
const inpaintParameters = z.strictObject({
  ...parameters.shape,
  prompt: promptText.describe('What the result should show.'),
  scheduler: line({ max: 64 }).describe('Sampler, such as "DPM++ 2M Karras".').optional(),
  negativePrompt: promptText.describe('What it should not show.').optional(),
  loras: z
    .array(z.strictObject(loraChoice.shape))
    .max(lorasMax)
    .describe('LoRAs to add.')
    .optional(),
})

const imageToImageParameters = inpaintParameters.omit({
  maskBlur: true,
  inpaintArea: true,
  maskPadding: true,
  keepUnmaskedPixels: true,
})

const textToImageParameters = imageToImageParameters.omit({ strength: true, resizeMode: true })

const common = {
  model: labelName.describe('Name of a base model of GET /v1/models.'),
  priority: z.int().min(0).max(100).describe('Larger is sooner among your own jobs.').optional(),
  execution: execution.describe('Warm pod, own pod, or whichever is sooner (Auto).').optional(),
}

/** ConfigMaps are for kubectl: a web user has none. */
const source = {
  ...input.omit({ role: true, configMapRef: true }).shape,
  artifact: opaque({ max: 253 }).describe('Id of an artifact that the owner may read.').optional(),
}
const inputsOf = <Role extends string>(role: z.ZodType<Role>) =>
  z.array(z.strictObject({ role, ...source })).max(64)

const textToImage = z
  .strictObject({
    task: z.literal('TextToImage'),
    ...common,
    parameters: textToImageParameters,
  })
  .meta({ id: 'TextToImageRequest', examples: [exampleRequests.TextToImage] })

const imageToImage = z
  .strictObject({
    task: z.literal('ImageToImage'),
    ...common,
    parameters: imageToImageParameters,
    inputs: inputsOf(z.literal('Image')).describe('One picture to start from.'),
  })
  .meta({ id: 'ImageToImageRequest', examples: [exampleRequests.ImageToImage] })

const inpaint = z
  .strictObject({
    task: z.literal('Inpaint'),
    ...common,
    parameters: inpaintParameters,
    inputs: inputsOf(z.enum(['Image', 'Mask'])).describe(
      'One picture and one mask, white = paint.',
    ),
  })
  .meta({ id: 'InpaintRequest', examples: [exampleRequests.Inpaint] })

const byTask = { discriminator: { propertyName: 'task' } }

function wrongTask({ code }: { readonly code?: string | undefined }): string | undefined {
  return code === 'invalid_union' ? `this release runs ${pictureTasks.join(', ')}` : undefined
}

/** REST shapes of a request by task: the same words as the custom resource. */
export const jobRequest = z
  .discriminatedUnion('task', [textToImage, imageToImage, inpaint], { error: wrongTask })
  .meta(byTask)
export type JobRequest = z.infer<typeof jobRequest>

const submitting = {
  quote: opaque({ max: 64 })
    .describe('Id of a quote for this request: the job costs no more than it says.')
    .optional(),
  dryRun: z
    .boolean()
    .describe('True checks and prices the request and makes nothing of it.')
    .optional(),
}

/** The three requests with more fields, each under a name of its own. */
function extended<Shape extends z.ZodRawShape>(shape: Shape, suffix: string) {
  const named = (task: keyof typeof exampleRequests) => {
    return { id: `${task}${suffix}`, examples: [exampleRequests[task]] }
  }
  const requests = [
    textToImage.extend(shape).meta(named('TextToImage')),
    imageToImage.extend(shape).meta(named('ImageToImage')),
    inpaint.extend(shape).meta(named('Inpaint')),
  ] as const
  return z.discriminatedUnion('task', requests, { error: wrongTask }).meta(byTask)
}

/** A request on its way to be done: `quote` and `dryRun` are no part of what is wanted. */
export const jobSubmission = extended(submitting, 'Submission')
export type JobSubmission = z.infer<typeof jobSubmission>

/** Jobs of one simulation, those of `count` included. */
export const simulatedJobsMax = 200

const simulating = {
  count: z
    .int()
    .min(1)
    .max(simulatedJobsMax)
    .describe('How many such jobs, 1 when absent.')
    .optional(),
}

export const simulationRequest = z
  .strictObject({
    jobs: z
      .array(extended(simulating, 'Simulation'))
      .min(1)
      .max(8)
      .describe('What POST /v1/jobs would be asked for, in this order; at most 200 jobs together.'),
  })
  .meta({
    id: 'SimulationRequest',
    examples: [{ jobs: [{ ...exampleRequests.TextToImage, count: 10 }] }],
  })
export type SimulationRequest = z.infer<typeof simulationRequest>
