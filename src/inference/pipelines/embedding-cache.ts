import type { Lora } from '../lora/read-lora.ts'
import type { FloatTensor } from '../runtime/component.ts'
import type { PromptReading } from '../tokenizers/prompt-windows.ts'
import { RecentValues } from './recent-values.ts'
import type { AppliedLora } from './request.ts'

export type Embedding = {
  /** [1, tokens, width]; 77 tokens for each window of the prompt. */
  readonly states: FloatTensor
  /** [1, width] of the whole text; Stable Diffusion XL only. */
  readonly pooled?: FloatTensor
}

/** Each takes about 0.2 MiB (Stable Diffusion 1) to 0.6 MiB (XL) per 75 tokens. */
const embeddingsKept = 32

/** All that an embedding depends on beside the model. */
export type EmbeddedText = PromptReading & {
  readonly text: string
  /** Windows that it was filled up to. */
  readonly count: number
  readonly loras: readonly AppliedLora[]
}

/** Keeps the embeddings used last, because the next job often has the same texts. */
export class EmbeddingCache {
  readonly #embeddings = new RecentValues<Embedding>(embeddingsKept)
  /** LoRAs are told apart by what was read: their names may mean another file later. */
  readonly #numbers = new WeakMap<Lora, number>()
  #nextNumber = 0

  async get(text: EmbeddedText, make: () => Promise<Embedding>): Promise<Embedding> {
    const loras = text.loras.map(({ lora, scale }) => [this.#numberOf(lora), scale])
    return this.#embeddings.get(JSON.stringify({ ...text, loras }), make)
  }

  #numberOf(lora: Lora): number {
    const number = this.#numbers.get(lora) ?? this.#nextNumber++
    this.#numbers.set(lora, number)
    return number
  }
}
