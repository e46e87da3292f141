import type { Clock } from '../../shared/clock.ts'
import { finishPicture, type PreparedInputs } from '../images/prepare-inputs.ts'
import type { Picture } from '../images/picture.ts'
import { encodePng } from '../output/png.ts'
import { formatRecipe, type MadePicture } from '../output/recipe.ts'
import { countModelCalls, generateImages, seedOfImage } from '../pipelines/generate-images.ts'
import type { DiffusionModel } from '../pipelines/model.ts'
import { PreviewSender } from './preview-sender.ts'
import { ProgressSender } from './progress-sender.ts'
import type { ChildMessage, GenerateRequest } from './protocol.ts'
import { readInputs } from './read-inputs.ts'
import { readLoras } from './read-loras.ts'

type Control = {
  readonly signal: AbortSignal
  readonly send: (message: ChildMessage) => void
  readonly clock: Clock
  /** Fulfilled when the weights are what the manifest says: no picture goes out before. */
  readonly verified: Promise<void>
}

/** Runs one job and sends its progress, previews and finished pictures. */
export async function generate(
  model: DiffusionModel,
  request: GenerateRequest,
  control: Control,
): Promise<'Completed' | 'Cancelled'> {
  try {
    await makePictures(model, request, control)
    return 'Completed'
  } catch (error) {
    if (control.signal.aborted) return 'Cancelled'
    throw error
  }
}

async function makePictures(
  model: DiffusionModel,
  request: GenerateRequest,
  { signal, send, clock, verified }: Control,
): Promise<void> {
  const inputs = await readInputs(request)
  const loras = await readLoras(request.loras)
  const progress = new ProgressSender(countModelCalls(model, request), send)
  const previews = new PreviewSender({ model, send, clock })
  const { image, mask } = inputs ?? {}
  const painted = { ...request, loras, ...(image && { image }), ...(mask && { mask }) }
  await generateImages(model, painted, {
    signal,
    events: {
      onStage: (stage, index) => progress.enter(stage, index),
      onModelCall: async (call) => {
        progress.count(call)
        await previews.offer(call)
      },
      onPicture: async (picture, index) => {
        await verified
        sendImage(picture, { request, inputs, index, send })
      },
    },
  })
}

function sendImage(
  painted: Picture,
  at: {
    readonly request: GenerateRequest
    readonly inputs: PreparedInputs | undefined
    readonly index: number
    readonly send: Control['send']
  },
): void {
  const { request, inputs, index } = at
  const picture = inputs === undefined ? painted : finishPicture(inputs, painted)
  const seed = seedOfImage(request.seed, index)
  const png = encodePng(picture, textsOf(request, { picture, seed }))
  const { width, height } = picture
  const inputChanges = inputs?.changes ?? []
  at.send({ type: 'Image', image: { index, seed, width, height, png, inputChanges } })
}

/** The text chunks of a picture: its recipe, or none at all. */
function textsOf(request: GenerateRequest, made: MadePicture): Readonly<Record<string, string>> {
  return request.embedRecipe === false ? {} : { parameters: formatRecipe(request, made) }
}
