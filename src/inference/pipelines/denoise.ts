import type { TorchGenerator } from '../random/torch-generator.ts'
import type { Feed, FloatTensor } from '../runtime/component.ts'
import type { Conditions } from './conditions.ts'
import type { Runnable } from './model-parts.ts'
import type { Plan } from './plan.ts'
import type { Schedule } from './schedule.ts'
import { joinArrays, joinChannels } from './tensors.ts'

export type DenoiseRequest = Schedule & {
  readonly plan: Plan
  readonly conditions: Conditions
  readonly guidanceScale: number
  /** One per picture of the run. */
  readonly generators: readonly TorchGenerator[]
  /** Fresh noise of DDIM and TCD, 0..1; pipelines of diffusers say 0. */
  readonly eta?: number
  /** Looked at before every run of the UNet, so that a cancel waits for one run at most. */
  readonly signal: AbortSignal
  readonly onModelCall?: (call: DenoiseCall) => void | Promise<void>
}

/** One evaluation of the model, done: the two passes of guidance count as one. */
export type DenoiseCall = {
  /** From 0, of `total`. */
  readonly index: number
  readonly total: number
  /** [n, channels, h, w] after the step. */
  readonly latents: FloatTensor
  /** The same at the size of noise that the model sees, which suits previews. */
  readonly toPreview: () => FloatTensor
}

/**
 * The loop of all tasks. The two passes of classifier-free guidance (Ho and Salimans 2022,
 * arXiv 2207.12598) run one after the other: on CPU that takes the time of one batch of two, and
 * less memory. Returns the latents [n, channels, h, w].
 */
export async function denoise(unet: Runnable, request: DenoiseRequest): Promise<FloatTensor> {
  const { scheduler, plan, signal } = request
  const { shape } = plan.latents
  const count = scheduler.timesteps.length
  let sample = plan.latents.data
  for (let index = request.firstIndex; index < count; index++) {
    const scaled = { data: scheduler.scaleModelInput(sample, index), shape }
    const modelOutput = await predict(unet, request, { scaled, index })
    const stepped = scheduler.step({
      modelOutput,
      sample,
      index,
      drawNoise: () => drawNoise(request),
      eta: request.eta ?? 0,
    })
    sample = keepOriginal(request, { stepped, next: index + 1 })
    signal.throwIfAborted()
    const latents = { data: sample, shape }
    await request.onModelCall?.({
      index: index - request.firstIndex,
      total: count - request.firstIndex,
      latents,
      toPreview: () =>
        index + 1 === count
          ? latents
          : { data: scheduler.scaleModelInput(latents.data, index + 1), shape },
    })
  }
  return { data: sample, shape }
}

/** Each picture's noise comes from its own generator. */
function drawNoise({ generators, plan }: DenoiseRequest): Float32Array {
  const size = plan.latents.data.length / generators.length
  return joinArrays(generators.map((generator) => generator.randn(size)))
}

/** The mask holds 0 and 1 only, so blending is choosing. */
function keepOriginal(
  { plan: { kept }, scheduler }: DenoiseRequest,
  { stepped, next }: { readonly stepped: Float32Array; readonly next: number },
): Float32Array {
  if (kept === undefined) return stepped
  const { mask, original, noise } = kept
  const isLast = next === scheduler.timesteps.length
  const behind = isLast ? original : scheduler.addNoise({ original, noise, index: next })
  return stepped.map((value, i) => (mask[i] === 1 ? value : behind[i]))
}

type Prediction = { readonly scaled: FloatTensor; readonly index: number }

async function predict(
  unet: Runnable,
  request: DenoiseRequest,
  { scaled, index }: Prediction,
): Promise<Float32Array> {
  const { extraChannels } = request.plan
  const shared = {
    sample: extraChannels === undefined ? scaled : joinChannels(scaled, extraChannels),
    timestep: { data: [request.scheduler.timesteps[index]], shape: [] },
  }
  const { prompt, negative } = request.conditions
  const run = async (feeds: Readonly<Record<string, Feed>>) => {
    request.signal.throwIfAborted()
    const [{ name }] = unet.outputs
    const outputs = await unet.run({ ...shared, ...feeds }, [name])
    return outputs[name].data
  }
  if (negative === undefined) return run(prompt)
  const unconditional = await run(negative)
  const conditional = await run(prompt)
  return conditional.map((value, i) => guide(unconditional[i], value, request.guidanceScale))
}

/** Rounds where torch's float32 arithmetic rounds. */
function guide(unconditional: number, conditional: number, scale: number): number {
  return unconditional + Math.fround(scale * Math.fround(conditional - unconditional))
}
