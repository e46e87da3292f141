import { assert } from '../../shared/assert.ts'
import { AppError } from '../../shared/errors.ts'
import { loraComponents } from '../lora/feeds.ts'
import type { FloatTensor } from '../runtime/component.ts'
import { encodePicture, type LatentDistribution, maskLatents } from './encode-picture.ts'
import { encodePrompts, type PromptEmbeds } from './encode-prompt.ts'
import type { DiffusionModel } from './model.ts'
import type { Runnable, UnetName } from './model-parts.ts'
import { checkRequest } from './check-request.ts'
import { type AppliedLora, type ImageRequest, strengthOf } from './request.ts'
import { makeSchedule } from './schedule.ts'
import { readUnetTraits, type UnetTraits } from './unet-traits.ts'

/** What all pictures of a job share. */
export type Job = {
  readonly model: DiffusionModel
  readonly request: ImageRequest
  readonly unet: Runnable
  readonly traits: UnetTraits
  readonly embeds: PromptEmbeds
  readonly sources: Sources
}

/** What is known of the inputs before a generator draws latents from them. */
export type Sources = {
  readonly picture?: LatentDistribution
  /** The picture without what is to be repainted; for UNets that repaint. */
  readonly masked?: LatentDistribution
  /** [1, 1, h, w] of 0 and 1. */
  readonly mask?: FloatTensor
}

/**
 * Chooses the UNet, checks the request against it and encodes prompt and inputs. Throws
 * `request.invalid` with the field. A pack may have `unet_inpaint` beside `unet`, for Inpaint.
 */
export async function prepareJob(model: DiffusionModel, request: ImageRequest): Promise<Job> {
  requireKnownParts(model, request.loras)
  const name: UnetName =
    request.task === 'Inpaint' && model.parts.has('unet_inpaint') ? 'unet_inpaint' : 'unet'
  const unet = await model.parts.openWithLoras(name, request.loras)
  const { settings, latentChannels } = model
  const traits = readUnetTraits(unet, { settings, latentChannels, file: `${name}/model.onnx` })
  checkRequest(request, { model, traits })
  // For its errors, before anything takes time.
  makeSchedule(model, request)
  const embeds = await encodePrompts(model, request, traits)
  return {
    model,
    request,
    unet,
    traits,
    embeds,
    sources: await encodeSources(model, request, traits),
  }
}

/** A LoRA for a text encoder that the model lacks would silently lose a part of its effect. */
function requireKnownParts({ settings }: DiffusionModel, loras: readonly AppliedLora[]): void {
  const known = new Set<string>(['unet', ...settings.textEncoders])
  for (const { name, lora } of loras) {
    const unknown = [...loraComponents(lora)].find((component) => !known.has(component))
    if (unknown === undefined) continue
    const message = `${name} changes ${unknown}, which this model has not`
    throw new AppError('inference.unsupported', message, { fields: [{ path: 'loras', message }] })
  }
}

async function encodeSources(
  model: DiffusionModel,
  request: ImageRequest,
  { repaints }: UnetTraits,
): Promise<Sources> {
  const { task, image, mask } = request
  if (task === 'TextToImage') return {}
  assert(image !== undefined, 'the request was checked')
  if (task === 'ImageToImage') return { picture: await encodePicture(model, image) }
  assert(mask !== undefined, 'the request was checked')
  // From full strength on, a UNet that repaints starts from noise and never sees the latents.
  const needsPicture = !repaints || strengthOf(request) < 1
  return {
    mask: maskLatents(mask, model.latentFactor),
    ...(needsPicture && { picture: await encodePicture(model, image) }),
    ...(repaints && { masked: await encodePicture(model, image, mask) }),
  }
}
