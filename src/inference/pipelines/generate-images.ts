import type { Picture } from '../images/picture.ts'
import { TorchGenerator } from '../random/torch-generator.ts'
import type { FloatTensor } from '../runtime/component.ts'
import { makeConditions } from './conditions.ts'
import { decodeLatents } from './decode.ts'
import { denoise, type DenoiseCall } from './denoise.ts'
import type { DiffusionModel } from './model.ts'
import { drawInputs, planRun } from './plan.ts'
import { type Job, prepareJob } from './prepare-job.ts'
import type { ImageRequest } from './request.ts'
import { makeSchedule } from './schedule.ts'
import { entry } from './tensors.ts'

export type GenerationStage = 'EncodingPrompt' | 'Denoising' | 'Decoding'

/** A call of the model for the pictures from `image` on, `images` of them. */
export type ModelCall = DenoiseCall & { readonly image: number; readonly images: number }

export type GenerationEvents = {
  readonly onStage: (stage: GenerationStage, image: number) => void
  /** After each evaluation of the UNet; the loop waits for a returned promise. */
  readonly onModelCall: (call: ModelCall) => void | Promise<void>
  readonly onPicture: (picture: Picture, image: number) => void | Promise<void>
}

export type GenerationControl = { readonly signal: AbortSignal; readonly events: GenerationEvents }

/** Seeds are 32-bit and start again at 0 after the last one. */
export function seedOfImage(seed: number, image: number): number {
  return (seed + image) % 2 ** 32
}

/**
 * Makes the request's pictures. Each has its own generator, and by default its own run, so it is
 * the same whether it was asked for alone or with others; in a shared run (`imagesPerRun`) it may
 * differ by a grey level. Rejects with `request.invalid` and the field, or with the signal's
 * reason at most one UNet run after an abort.
 */
export async function generateImages(
  model: DiffusionModel,
  request: ImageRequest,
  { signal, events }: GenerationControl,
): Promise<void> {
  signal.throwIfAborted()
  events.onStage('EncodingPrompt', request.firstImage ?? 0)
  const job = await prepareJob(model, request)
  for (const images of runsOf(job)) {
    signal.throwIfAborted()
    events.onStage('Denoising', images[0])
    const latents = await denoiseRun(job, images, { signal, events })
    for (const [i, image] of images.entries()) {
      signal.throwIfAborted()
      events.onStage('Decoding', image)
      await events.onPicture(await decodeLatents(model, entry(latents, i)), image)
    }
  }
}

/** Evaluations of the UNet that one picture takes; the two passes of guidance count once. */
export function countModelCalls(
  model: Pick<DiffusionModel, 'settings'>,
  request: Pick<ImageRequest, 'task' | 'scheduler' | 'steps' | 'strength'>,
): number {
  const { scheduler, firstIndex } = makeSchedule(model, request)
  return scheduler.timesteps.length - firstIndex
}

/** Which pictures share a run; a graph with a fixed batch takes one at a time. */
function runsOf({ request, traits }: Job): readonly (readonly number[])[] {
  const size = traits.batch === undefined ? (request.imagesPerRun ?? 1) : 1
  const runs: number[][] = []
  for (let first = request.firstImage ?? 0; first < request.images; first += size) {
    const count = Math.min(size, request.images - first)
    runs.push(Array.from({ length: count }, (_, i) => first + i))
  }
  return runs
}

async function denoiseRun(
  job: Job,
  images: readonly number[],
  { signal, events }: GenerationControl,
): Promise<FloatTensor> {
  const { request, traits } = job
  const schedule = makeSchedule(job.model, request)
  const generators = images.map((image) => new TorchGenerator(seedOfImage(request.seed, image)))
  const draws = generators.map((generator) => drawInputs(job, generator))
  return denoise(job.unet, {
    ...schedule,
    plan: planRun(job, { ...schedule, draws }),
    conditions: makeConditions(job.embeds, request, { traits, count: images.length }),
    guidanceScale: request.guidanceScale,
    generators,
    signal,
    onModelCall: (call) => events.onModelCall({ ...call, image: images[0], images: images.length }),
  })
}
