import type { ClipTokenizer } from './clip.ts'
import { parseWeights } from './prompt-weights.ts'

export type PromptSyntax = 'Plain' | 'Weighted'
export type PromptOverflow = 'Chunk' | 'Truncate'

/** What the text encoder reads in one run, with a weight for each token. */
export type PromptWindow = {
  readonly ids: readonly number[]
  readonly weights: readonly number[]
}

export type PromptReading = {
  readonly syntax: PromptSyntax
  readonly overflow: PromptOverflow
}

type WeightedToken = { readonly id: number; readonly weight: number }

/**
 * Cuts a text into windows of 75 tokens between start and end, each padded to the model's
 * length: at least one, and only the first with `Truncate`. A window is cut where it is full,
 * not at a comma before. Parts of different weights are split into tokens each for itself.
 */
export function readWindows(
  tokenizer: ClipTokenizer,
  text: string,
  { syntax, overflow }: PromptReading,
): readonly PromptWindow[] {
  const parts = syntax === 'Weighted' ? parseWeights(text) : [{ text, weight: 1 }]
  const tokens = parts.flatMap((part) =>
    tokenizer.split(part.text).map((id): WeightedToken => ({ id, weight: part.weight })),
  )
  const size = tokenizer.windowTokens
  const count = overflow === 'Truncate' ? 1 : Math.max(1, Math.ceil(tokens.length / size))
  return Array.from({ length: count }, (_, i) =>
    frameTokens(tokenizer, tokens.slice(i * size, (i + 1) * size)),
  )
}

/** Adds windows without text, so that prompt and negative prompt become equally long. */
export function padWindows(
  tokenizer: ClipTokenizer,
  windows: readonly PromptWindow[],
  count: number,
): readonly PromptWindow[] {
  const missing = Math.max(0, count - windows.length)
  return [...windows, ...Array.from({ length: missing }, () => frameTokens(tokenizer, []))]
}

/** Start, end and padding weigh 1. */
function frameTokens(tokenizer: ClipTokenizer, tokens: readonly WeightedToken[]): PromptWindow {
  const ids = tokenizer.frame(tokens.map(({ id }) => id))
  const weights = ids.map((_, i) => tokens[i - 1]?.weight ?? 1)
  return { ids, weights }
}
