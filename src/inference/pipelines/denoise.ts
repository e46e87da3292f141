import type { TorchGenerator } from '../random/torch-generator.ts'
import type { Component, FloatTensor } from '../runtime/component.ts'
import type { Scheduler } from '../schedulers/scheduler.ts'
import type { PromptEmbeds } from './encode-prompt.ts'

export type DenoiseRequest = {
  readonly embeds: PromptEmbeds
  readonly guidanceScale: number
  readonly scheduler: Scheduler
  readonly generator: TorchGenerator
  /** As handed to the loop: already times the scheduler's initial sigma. */
  readonly latents: FloatTensor
  /** Looked at before every run of the UNet, so that a cancel waits for one run at most. */
  readonly signal: AbortSignal
  readonly onEvaluation?: (evaluation: {
    readonly index: number
    readonly latents: Float32Array
  }) => void
}

/**
 * The loop of text-to-image over [1, 4, h, w] latents. The two passes of classifier-free
 * guidance (Ho and Salimans 2022, arXiv 2207.12598) run one after the other: on CPU that takes
 * the time of one batch of two, and less memory.
 */
export async function denoise(unet: Component, request: DenoiseRequest): Promise<Float32Array> {
  const { scheduler, generator, signal } = request
  const { shape } = request.latents
  let sample = request.latents.data
  for (let index = 0; index < scheduler.timesteps.length; index++) {
    const scaled = { data: scheduler.scaleModelInput(sample, index), shape }
    const timestep = scheduler.timesteps[index]
    const modelOutput = await predict(unet, { ...request, scaled, timestep })
    const drawNoise = () => generator.randn(sample.length)
    sample = scheduler.step({ modelOutput, sample, index, drawNoise })
    signal.throwIfAborted()
    request.onEvaluation?.({ index, latents: sample })
  }
  return sample
}

type PredictRequest = DenoiseRequest & {
  readonly scaled: FloatTensor
  readonly timestep: number
}

async function predict(unet: Component, request: PredictRequest): Promise<Float32Array> {
  const { embeds, guidanceScale } = request
  if (embeds.negative === undefined) return runUnet(unet, request, embeds.prompt)
  const unconditional = await runUnet(unet, request, embeds.negative)
  const conditional = await runUnet(unet, request, embeds.prompt)
  return conditional.map((value, i) => guide(unconditional[i], value, guidanceScale))
}

/** Rounds where torch's float32 arithmetic rounds. */
function guide(unconditional: number, conditional: number, scale: number): number {
  return unconditional + Math.fround(scale * Math.fround(conditional - unconditional))
}

async function runUnet(
  unet: Component,
  request: PredictRequest,
  states: FloatTensor,
): Promise<Float32Array> {
  request.signal.throwIfAborted()
  const outputs = await unet.run({
    sample: request.scaled,
    timestep: { data: [request.timestep], shape: [] },
    encoder_hidden_states: states,
  })
  return outputs[unet.outputs[0].name].data
}
