import type { TextEncoderName } from '../models/model-settings.ts'
import { packError } from '../models/pack-error.ts'
import type { FloatTensor } from '../runtime/component.ts'
import { padWindows, type PromptWindow, readWindows } from '../tokenizers/prompt-windows.ts'
import type { Embedding } from './embedding-cache.ts'
import type { DiffusionModel, PromptEncoder } from './model.ts'
import { type ImageRequest, invalid } from './request.ts'
import { joinTokens, joinWidths, zeros } from './tensors.ts'
import type { Runnable } from './model-parts.ts'
import type { UnetTraits } from './unet-traits.ts'

export type PromptEmbeds = {
  readonly prompt: Embedding
  /** Absent without classifier-free guidance. */
  readonly negative?: Embedding
}

export type PromptRequest = Pick<
  ImageRequest,
  'prompt' | 'negativePrompt' | 'guidanceScale' | 'promptSyntax' | 'promptOverflow' | 'loras'
>

type Encoding = {
  readonly model: DiffusionModel
  readonly request: PromptRequest
  /** Windows of every text of the request: all become equally long. */
  readonly count: number
}

/**
 * Embeds prompt and negative prompt. Guidance of 1 or less changes nothing, and models distilled
 * with guidance need none, so then the second pass is saved (as in diffusers).
 */
export async function encodePrompts(
  model: DiffusionModel,
  request: PromptRequest,
  traits: Pick<UnetTraits, 'guidanceWidth' | 'tokens'>,
): Promise<PromptEmbeds> {
  const guided = request.guidanceScale > 1 && traits.guidanceWidth === undefined
  const zeroed =
    model.isXl && model.settings.zeroesAbsentNegative && request.negativePrompt === undefined
  const negativePrompt = guided && !zeroed ? (request.negativePrompt ?? '') : undefined
  const counts = {
    prompt: countWindows(model, request, request.prompt),
    negativePrompt: countWindows(model, request, negativePrompt),
  }
  const count = Math.max(counts.prompt, counts.negativePrompt)
  refuseOverlong(traits, {
    model,
    count,
    field: counts.prompt === count ? 'prompt' : 'negativePrompt',
  })
  const prompt = await embedText({ model, request, count }, request.prompt)
  if (!guided) return { prompt }
  if (negativePrompt === undefined) return { prompt, negative: zeroEmbedding(prompt) }
  return { prompt, negative: await embedText({ model, request, count }, negativePrompt) }
}

function countWindows(
  model: DiffusionModel,
  request: PromptRequest,
  text: string | undefined,
): number {
  if (text === undefined) return 0
  return Math.max(
    ...model.prompts.map(({ tokenizer }) => readWindows(tokenizer, text, reading(request)).length),
  )
}

function reading({ promptSyntax, promptOverflow }: PromptRequest) {
  return { syntax: promptSyntax, overflow: promptOverflow }
}

function refuseOverlong(
  { tokens }: Pick<UnetTraits, 'tokens'>,
  at: { readonly model: DiffusionModel; readonly count: number; readonly field: string },
): void {
  const windowTokens = at.model.prompts[0].tokenizer.windowTokens
  if (tokens === undefined || at.count * (windowTokens + 2) <= tokens) return
  const needed = `${at.count} windows of ${windowTokens} tokens`
  throw invalid(at.field, `takes ${needed}; this model was exported for ${tokens} in all`)
}

function zeroEmbedding({ states, pooled }: Embedding): Embedding {
  return { states: zeros(states.shape), ...(pooled && { pooled: zeros(pooled.shape) }) }
}

/** One text through all encoders, unless an earlier job had the same. */
async function embedText(encoding: Encoding, text: string): Promise<Embedding> {
  const { model, request, count } = encoding
  const asked = { text, count, ...reading(request), loras: request.loras }
  return model.embeddings.get(asked, async () => {
    const embeddings: Embedding[] = []
    for (const prompt of model.prompts)
      embeddings.push(await runEncoder(encoding, { prompt, text }))
    const pooled = embeddings.at(-1)?.pooled
    return {
      states: joinWidths(embeddings.map(({ states }) => states)),
      ...(pooled !== undefined && { pooled }),
    }
  })
}

async function runEncoder(
  { model, request, count }: Encoding,
  { prompt, text }: { readonly prompt: PromptEncoder; readonly text: string },
): Promise<Embedding> {
  const { component } = prompt
  const encoder = await model.parts.openWithLoras(component, request.loras)
  const windows = readWindows(prompt.tokenizer, text, reading(request))
  const embeddings: Embedding[] = []
  for (const window of padWindows(prompt.tokenizer, windows, count)) {
    embeddings.push(await runWindow(encoder, { component, window, isXl: model.isXl }))
  }
  return { ...embeddings[0], states: joinTokens(embeddings.map(({ states }) => states)) }
}

type WindowRun = {
  readonly component: TextEncoderName
  readonly window: PromptWindow
  readonly isXl: boolean
}

async function runWindow(
  encoder: Runnable,
  { component, window, isXl }: WindowRun,
): Promise<Embedding> {
  const { ids, weights } = window
  const name = stateName(encoder, { component, isXl })
  const pooledName = 'text_embeds'
  const hasPooled = isXl && encoder.outputs.some((port) => port.name === pooledName)
  const feeds = { input_ids: { data: ids, shape: [1, ids.length] } }
  const outputs = await encoder.run(feeds, hasPooled ? [name, pooledName] : [name])
  const states = weigh(outputs[name], weights)
  return { states, ...(hasPooled && { pooled: outputs[pooledName] }) }
}

/** XL was trained on the states before the last layer, the others on the last ones. */
function stateName(
  { outputs }: Pick<Runnable, 'outputs'>,
  { component, isXl }: Pick<WindowRun, 'component' | 'isXl'>,
): string {
  const names = outputs.map(({ name }) => name)
  if (!isXl) return names.find((name) => name === 'last_hidden_state') ?? names[0]
  const layers = names
    .flatMap((name) => /^hidden_states\.(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((a, b) => a - b)
  const last = layers.at(-2)
  if (last !== undefined) return `hidden_states.${last}`
  const problem = 'has no outputs hidden_states.N, which Stable Diffusion XL needs'
  throw packError({ file: `${component}/model.onnx` }, problem)
}

/**
 * Multiplies each token's states by its weight and scales the window back to the mean it had, as
 * AUTOMATIC1111's “Original” emphasis does.
 */
function weigh(states: FloatTensor, weights: readonly number[]): FloatTensor {
  if (weights.every((weight) => weight === 1)) return states
  const width = states.shape[2]
  const weighted = states.data.map((value, i) => value * weights[Math.floor(i / width)])
  const ratio = sum(states.data) / sum(weighted)
  return { data: weighted.map((value) => value * ratio), shape: states.shape }
}

function sum(values: Float32Array): number {
  return values.reduce((total, value) => total + value, 0)
}
