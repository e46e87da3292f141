import { assert } from '../../shared/assert.ts'
import type { TorchGenerator } from '../random/torch-generator.ts'
import type { FloatTensor } from '../runtime/component.ts'
import { sampleLatents } from './encode-picture.ts'
import type { Job } from './prepare-job.ts'
import { strengthOf } from './request.ts'
import type { Schedule } from './schedule.ts'
import { joinChannels, repeat, stack } from './tensors.ts'

/** Where a run of n pictures starts and what its loop does beside denoising: [n, c, h, w] each. */
export type Plan = {
  readonly latents: FloatTensor
  /** Fed after the latents' channels: the mask, then the latents of the masked input. */
  readonly extraChannels?: FloatTensor
  /** After each step, where `mask` is 0 the original comes back at the level of the next step. */
  readonly kept?: {
    readonly mask: Float32Array
    readonly original: Float32Array
    readonly noise: Float32Array
  }
}

/** What one picture starts from, each [1, channels, h, w]. */
export type Draw = {
  readonly noise: FloatTensor
  /** Latents of the input. */
  readonly picture?: FloatTensor
  /** Latents of the input without what is to be repainted. */
  readonly masked?: FloatTensor
}

/** Draws from one picture's generator in diffusers' order: input, noise, masked input. */
export function drawInputs(job: Job, generator: TorchGenerator): Draw {
  const { model, sources, traits } = job
  const picture = sources.picture && sampleLatents(model, sources.picture, generator)
  const noise = drawNoise(job, generator)
  const masked = sources.masked && sampleLatents(model, sources.masked, generator)
  // diffusers encodes the masked picture for every UNet; one that does not repaint makes no use
  // of it, but what is drawn later depends on it.
  const drawsUnused = sources.mask !== undefined && !traits.repaints
  if (drawsUnused && sources.picture?.deviation !== undefined) drawNoise(job, generator)
  return { noise, ...(picture && { picture }), ...(masked && { masked }) }
}

export function drawNoise({ model, request }: Job, generator: TorchGenerator): FloatTensor {
  const { latentChannels, latentFactor } = model
  const shape = [1, latentChannels, request.height / latentFactor, request.width / latentFactor]
  return { data: generator.randn(shape[1] * shape[2] * shape[3]), shape }
}

/** The start of a run of pictures, one for each draw. */
export function planRun(
  job: Job,
  { draws, ...schedule }: Schedule & { readonly draws: readonly Draw[] },
): Plan {
  const noise = stack(draws.map((draw) => draw.noise))
  const picture = stackKnown(draws.map((draw) => draw.picture))
  const masked = stackKnown(draws.map((draw) => draw.masked))
  const start = { ...schedule, noise: noise.data, picture: picture?.data }
  const latents = { data: startLatents(job, start), shape: noise.shape }
  const { mask } = job.sources
  if (mask === undefined) return { latents }
  if (masked !== undefined) {
    return { latents, extraChannels: joinChannels(repeat(mask, draws.length), masked) }
  }
  assert(picture !== undefined, 'blending needs the latents of the input')
  const spread = repeat(mask, draws.length * job.model.latentChannels).data
  return { latents, kept: { mask: spread, original: picture.data, noise: noise.data } }
}

type Start = Schedule & {
  readonly noise: Float32Array
  readonly picture: Float32Array | undefined
}

/** Pure noise without an input and for inpainting at full strength, else the noised input. */
function startLatents(
  { request }: Job,
  { scheduler, firstIndex, noise, picture }: Start,
): Float32Array {
  const isPure = request.task === 'Inpaint' && strengthOf(request) === 1
  if (isPure || picture === undefined) {
    return noise.map((value) => value * scheduler.initNoiseSigma)
  }
  return scheduler.addNoise({ original: picture, noise, index: firstIndex })
}

function stackKnown(parts: readonly (FloatTensor | undefined)[]): FloatTensor | undefined {
  const known = parts.filter((part) => part !== undefined)
  return known.length === 0 ? undefined : stack(known)
}
