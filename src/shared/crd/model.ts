import { z } from 'zod'
import {
  conditions,
  labelName,
  microCredits,
  observedGeneration,
  quantity,
  relativePath,
  type Resource,
  sha256,
} from './common.ts'
import { parameters, task, tasks } from './generation-job.ts'

export const modelFamilies = [
  'StableDiffusion1',
  'StableDiffusion2',
  'StableDiffusionXL',
  'LatentConsistency',
  'FlowMatch',
] as const

export const modelTypes = ['Base', 'Lora'] as const

const range = z.object({
  min: z.int().min(8).max(4096).multipleOf(8).describe('Pixels.'),
  max: z.int().min(8).max(4096).multipleOf(8).describe('Pixels.'),
  multipleOf: z.int().min(8).max(512).multipleOf(8).describe('Pixels, counted from 0.'),
})

const httpsFolder = /https:\/\/[A-Za-z0-9.-]+(:[0-9]+)?(\/[A-Za-z0-9._~%+@:=,/-]*)?/
/** Keys that need no escapes, which a signature would have to repeat exactly. */
const s3Folder = /s3:\/\/[a-z0-9][a-z0-9.-]+(\/[A-Za-z0-9._~/-]*)?/
const huggingFaceRepository =
  /hf:\/\/[A-Za-z0-9][A-Za-z0-9._-]*\/[A-Za-z0-9][A-Za-z0-9._-]*(@[A-Za-z0-9][A-Za-z0-9._/-]*)?/
const folders = [httpsFolder, s3Folder, huggingFaceRepository].map(({ source }) => source)

const fetchSource = z.object({
  // Neither user information nor a query: a URL in a spec is no place for a password.
  url: z
    .string()
    .max(2048)
    .regex(new RegExp(`^(${folders.join('|')})$`))
    .describe('Folder with atelier-model.json: https://, s3://bucket/… or hf://org/name@revision.'),
  sizeBytes: z
    .int()
    .min(1)
    .max(2 ** 49)
    .describe('Of all files together, for people who wait.')
    .optional(),
  cache: z
    .object({
      claim: labelName.describe("PersistentVolumeClaim in the job's namespace."),
    })
    .describe('Keeps the files for later pods; absent: each pod fetches them for itself.')
    .optional(),
  secretRef: z
    .object({
      // The controller may mount Secrets of such names only: see its admission policy.
      name: z
        .string()
        .max(63)
        .regex(/^atelier-fetch-[a-z0-9]([-a-z0-9]*[a-z0-9])?$/)
        .describe("In the job's namespace; begins with atelier-fetch-."),
    })
    .describe('Credentials: token, or accessKeyId and secretAccessKey.')
    .optional(),
})

/** Where the weights come from. `type` names the one member that is set. */
export const delivery = z.object({
  type: z.enum(['Embedded', 'Claim', 'Image', 'Fetch']).describe('Names the one member set.'),
  embedded: z
    .object({ path: relativePath.describe("Folder under the image's models folder.") })
    .describe('Inside the inference image.')
    .optional(),
  claim: z
    .object({
      name: labelName.describe("PersistentVolumeClaim in the job's namespace."),
      path: relativePath.describe('Folder in the volume; absent: its root.').optional(),
    })
    .describe('On a persistent volume, mounted read-only.')
    .optional(),
  image: z
    .object({
      reference: z
        .string()
        .max(512)
        .regex(/^[a-z0-9][A-Za-z0-9._:/@-]*$/)
        .describe('OCI image, best with its digest.'),
      path: relativePath.describe('Folder in the image; absent: its root.').optional(),
    })
    .describe('An OCI image, mounted as a volume.')
    .optional(),
  fetch: fetchSource.describe('Fetched before the job starts.').optional(),
})
export type Delivery = z.infer<typeof delivery>

/** What each unit of work costs; absent rates are 0, and their sum is the price of a job. */
export const price = z.object({
  flatMicroCredits: microCredits.describe('Once per job. 1 credit = 1,000,000.').optional(),
  perImageMicroCredits: microCredits.describe('Per picture.').optional(),
  perMegapixelStepMicroCredits: microCredits
    .describe('Per 1,000,000 pixels in one model call of one picture.')
    .optional(),
  perTrainingStepMicroCredits: microCredits
    .describe('Per picture and step of a training.')
    .optional(),
})

const modelResources = z.object({
  gpus: z.int().min(0).max(64).describe('Whole GPUs of one pod.'),
  cpu: quantity.describe('Such as 500m.'),
  memory: quantity.describe('Such as 2Gi.'),
})

export const modelSpec = z
  .object({
    type: z
      .enum(modelTypes)
      .describe('Lora: added to a base model of its family by parameters.loras. Immutable.')
      .default('Base'),
    displayName: z.string().min(1).max(128).describe('Name for people.').optional(),
    description: z.string().max(2000).describe('What the model is good at.').optional(),
    family: z.enum(modelFamilies).describe('How the weights are read.'),
    licence: z.string().min(1).max(128).describe('SPDX identifier where there is one.'),
    tasks: z.array(task).min(1).max(tasks.length).describe('What the model can do.'),
    delivery: delivery.describe('Where the weights come from. Immutable.'),
    digest: sha256
      .describe("SHA-256 of the pack's atelier-model.json. May be added once, never changed.")
      .optional(),
    defaults: parameters
      .omit({ loras: true })
      .describe('Fill what a job leaves out, as far as its task uses it.')
      .optional(),
    sizes: z
      .object({ width: range.describe('Widths.'), height: range.describe('Heights.') })
      .describe('Pictures the model can make; absent: no limit.')
      .optional(),
    price: price.describe('Rates of a job; 0 for a LoRA: its base model has the price.'),
    resources: modelResources.describe(
      'What a pod of the model asks for; of a LoRA, what it adds to that.',
    ),
    runsOn: z
      .array(z.enum(['Gpu', 'Cpu']))
      .min(1)
      .max(2)
      .describe('Cpu: may run without a GPU where the controller allows it.'),
    visibility: z
      .enum(['Public', 'Departments'])
      .describe('Departments: only those in spec.departments may use the model.')
      .default('Public'),
    departments: z
      .array(labelName)
      .max(1000)
      .describe('Who may use a model of visibility Departments.')
      .optional(),
  })
  .describe('A base model or a LoRA.')
export type ModelSpec = z.infer<typeof modelSpec>

export const modelStatus = z
  .object({
    observedGeneration: observedGeneration.optional(),
    conditions: conditions.optional(),
  })
  .describe('Written by the controller only.')
export type ModelStatus = z.infer<typeof modelStatus>

export type Model = Resource<ModelSpec, ModelStatus>
