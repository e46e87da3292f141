import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { parameters, task } from '../crd/generation-job.ts'
import { modelFamilies, modelSpec, modelTypes } from '../crd/model.ts'
import { credits } from './jobs.ts'

/** What a client needs to offer a model: never where its weights lie. */
export const modelView = z
  .object({
    name: labelName,
    displayName: z.string(),
    description: z.string(),
    /** A LoRA is named in `parameters.loras` of a job whose model is of its family. */
    type: z.enum(modelTypes),
    family: z.enum(modelFamilies),
    licence: z.string(),
    tasks: z.array(task),
    /** Used for the fields that a request leaves out. */
    defaults: parameters.omit({ loras: true }),
    sizes: modelSpec.shape.sizes.unwrap().nullable(),
    /** Rates; a job's own price is what POST /v1/quotes says. */
    price: z.object({
      flat: credits,
      perImage: credits,
      perMegapixelStep: credits,
      perTrainingStep: credits,
    }),
  })
  .meta({ id: 'Model' })
export type ModelView = z.infer<typeof modelView>

export const modelPage = z
  .object({ items: z.array(modelView), next: z.string().nullable() })
  .meta({ id: 'ModelPage' })
