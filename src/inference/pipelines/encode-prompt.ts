import type { FloatTensor } from '../runtime/component.ts'
import type { StableDiffusion } from './stable-diffusion.ts'

export type PromptEmbeds = {
  readonly prompt: FloatTensor
  /** Absent without classifier-free guidance. */
  readonly negative?: FloatTensor
}

export type PromptRequest = {
  readonly prompt: string
  readonly negativePrompt: string
  readonly guidanceScale: number
}

/** Guidance of 1 or less changes nothing, so the second pass is saved (as in diffusers). */
function needsGuidance(guidanceScale: number): boolean {
  return guidanceScale > 1
}

/** Text → [1, 77, width] hidden states of the CLIP text encoder. */
export async function encodePrompt(
  model: Pick<StableDiffusion, 'tokenizer' | 'textEncoder'>,
  request: PromptRequest,
): Promise<PromptEmbeds> {
  const encode = async (text: string): Promise<FloatTensor> => {
    const { ids } = model.tokenizer.encode(text)
    const outputs = await model.textEncoder.run({
      input_ids: { data: ids, shape: [1, ids.length] },
    })
    return outputs['last_hidden_state']
  }
  const prompt = await encode(request.prompt)
  if (!needsGuidance(request.guidanceScale)) return { prompt }
  return { prompt, negative: await encode(request.negativePrompt) }
}
