import { TorchGenerator } from '../random/torch-generator.ts'
import type { FloatTensor } from '../runtime/component.ts'
import { chooseScheduler } from '../schedulers/registry.ts'
import type { Scheduler } from '../schedulers/scheduler.ts'
import { decodeLatents, type Picture } from './decode.ts'
import { denoise } from './denoise.ts'
import { encodePrompt, type PromptEmbeds, type PromptRequest } from './encode-prompt.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

export type TextToImageRequest = PromptRequest & {
  readonly width: number
  readonly height: number
  readonly steps: number
  /** Of the first picture; the next ones count on from it. */
  readonly seed: number
  /** Absent: the model's own. */
  readonly scheduler?: string
  readonly images: number
}

export type GenerationStage = 'EncodingPrompt' | 'Denoising' | 'Decoding'

export type GenerationEvents = {
  readonly onStage: (stage: GenerationStage, image: number) => void
  /** Steps done of the picture; second-order methods evaluate more often than they step. */
  readonly onStep: (step: number, image: number) => void
  readonly onPicture: (picture: Picture, image: number) => void | Promise<void>
}

export type GenerationControl = { readonly signal: AbortSignal; readonly events: GenerationEvents }

/** Seeds are 32-bit and start again at 0 after the last one. */
export function seedOfImage(seed: number, image: number): number {
  return (seed + image) % 2 ** 32
}

/**
 * Makes `images` pictures, one after the other: each has its own generator and its own run, so a
 * picture is the same whether it was asked for alone or in a batch. Rejects with the signal's
 * reason at most one UNet run after an abort.
 */
export async function textToImage(
  model: StableDiffusion,
  request: TextToImageRequest,
  { signal, events }: GenerationControl,
): Promise<void> {
  events.onStage('EncodingPrompt', 0)
  const embeds = await encodePrompt(model, request)
  for (let image = 0; image < request.images; image++) {
    signal.throwIfAborted()
    const scheduler = makeScheduler(model, request)
    const generator = new TorchGenerator(seedOfImage(request.seed, image))
    events.onStage('Denoising', image)
    const latents = await denoisePicture(model, {
      request,
      embeds,
      scheduler,
      generator,
      signal,
      onStep: (step) => events.onStep(step, image),
    })
    events.onStage('Decoding', image)
    await events.onPicture(await decodeLatents(model, latents), image)
  }
}

/** A fresh scheduler for one picture. */
export function makeScheduler(
  model: Pick<StableDiffusion, 'settings'>,
  request: Pick<TextToImageRequest, 'scheduler' | 'steps'>,
): Scheduler {
  const { create, config } = chooseScheduler(request.scheduler, model.settings.scheduler)
  return create(config, request.steps)
}

/** Pure noise at the scheduler's initial level: [1, channels, height / f, width / f]. */
export function drawLatents(
  model: Pick<StableDiffusion, 'settings' | 'decoder'>,
  request: {
    readonly width: number
    readonly height: number
    readonly scheduler: Scheduler
    readonly generator: TorchGenerator
  },
): FloatTensor {
  const factor = model.settings.latentFactor
  // The decoder's input says it: a UNet for inpainting takes more channels than latents have.
  const channels = Number(model.decoder.inputs[0].shape[1])
  const shape = [1, channels, request.height / factor, request.width / factor]
  const noise = request.generator.randn(shape[1] * shape[2] * shape[3])
  return { data: noise.map((value) => value * request.scheduler.initNoiseSigma), shape }
}

type PictureRun = {
  readonly request: TextToImageRequest
  readonly embeds: PromptEmbeds
  readonly scheduler: Scheduler
  readonly generator: TorchGenerator
  readonly signal: AbortSignal
  readonly onStep: (step: number) => void
}

async function denoisePicture(model: StableDiffusion, run: PictureRun): Promise<FloatTensor> {
  const { request, scheduler, generator } = run
  const latents = drawLatents(model, { ...request, scheduler, generator })
  const evaluations = scheduler.timesteps.length
  const data = await denoise(model.unet, {
    ...run,
    guidanceScale: request.guidanceScale,
    latents,
    onEvaluation: ({ index }) =>
      run.onStep(Math.floor(((index + 1) * request.steps) / evaluations)),
  })
  return { data, shape: latents.shape }
}
