import { encodePng } from '../output/png.ts'
import { formatRecipe } from '../output/recipe.ts'
import type { Picture } from '../pipelines/decode.ts'
import type { StableDiffusion } from '../pipelines/stable-diffusion.ts'
import { type GenerationStage, seedOfImage, textToImage } from '../pipelines/text-to-image.ts'
import type { ChildMessage, GenerateRequest } from './protocol.ts'

type Control = {
  readonly signal: AbortSignal
  readonly send: (message: ChildMessage) => void
}

/** Runs one job and sends its steps and finished pictures. */
export async function generate(
  model: StableDiffusion,
  request: GenerateRequest,
  { signal, send }: Control,
): Promise<'Completed' | 'Cancelled'> {
  const report = (stage: GenerationStage, image: number, step: number) => {
    const stepsDone = image * request.steps + step
    send({ type: 'Progress', progress: { stage, image, step, stepsDone } })
  }
  const stepAt = (stage: GenerationStage) => (stage === 'Decoding' ? request.steps : 0)
  try {
    await textToImage(model, request, {
      signal,
      events: {
        onStage: (stage, image) => report(stage, image, stepAt(stage)),
        onStep: (step, image) => report('Denoising', image, step),
        onPicture: (picture, index) => sendImage(picture, { request, index, send }),
      },
    })
    return 'Completed'
  } catch (error) {
    if (signal.aborted) return 'Cancelled'
    throw error
  }
}

function sendImage(
  picture: Picture,
  at: {
    readonly request: GenerateRequest
    readonly index: number
    readonly send: Control['send']
  },
): void {
  const { request, index } = at
  const seed = seedOfImage(request.seed, index)
  const recipe = formatRecipe({
    ...request,
    seed,
    scheduler: request.scheduler ?? 'model default',
    model: request.model.name,
    ...(request.model.digest !== undefined && { modelDigest: request.model.digest }),
  })
  const png = encodePng(picture, { parameters: recipe })
  at.send({
    type: 'Image',
    image: { index, seed, width: picture.width, height: picture.height, png },
  })
}
