import type { Feed } from '../runtime/component.ts'
import type { Embedding } from './embedding-cache.ts'
import type { PromptEmbeds } from './encode-prompt.ts'
import { guidanceEmbedding } from './guidance-embedding.ts'
import type { ImageRequest } from './request.ts'
import { repeat } from './tensors.ts'
import type { UnetTraits } from './unet-traits.ts'

type Feeds = Readonly<Record<string, Feed>>

/** What the UNet is fed at every step beside latents and timestep. */
export type Conditions = {
  readonly prompt: Feeds
  /** Absent without classifier-free guidance: then there is one pass only. */
  readonly negative?: Feeds
}

/** Defaults of diffusers for the refiner: pictures wanted, and pictures not wanted. */
const aestheticScores = { prompt: 6, negative: 2.5 }

/** Feeds for runs of `count` pictures; a graph takes those that it has inputs for. */
export function makeConditions(
  { prompt, negative }: PromptEmbeds,
  request: Pick<ImageRequest, 'width' | 'height' | 'guidanceScale'>,
  { traits, count }: { readonly traits: UnetTraits; readonly count: number },
): Conditions {
  const feedsOf = (embedding: Embedding, aestheticScore: number): Feeds => ({
    encoder_hidden_states: repeat(embedding.states, count),
    ...(embedding.pooled && { text_embeds: repeat(embedding.pooled, count) }),
    ...(traits.sizeCount !== undefined && {
      time_ids: repeat(sizeFeed(request, { ...traits, aestheticScore }), count),
    }),
    ...(traits.guidanceWidth !== undefined && {
      timestep_cond: repeat(guidanceEmbedding(request.guidanceScale, traits.guidanceWidth), count),
    }),
  })
  return {
    prompt: feedsOf(prompt, aestheticScores.prompt),
    ...(negative && { negative: feedsOf(negative, aestheticScores.negative) }),
  }
}

/** Original height and width, crop corner at 0, 0, and target height and width (or the score). */
function sizeFeed(
  { width, height }: Pick<ImageRequest, 'width' | 'height'>,
  at: Pick<UnetTraits, 'sizeCount'> & { readonly aestheticScore: number },
) {
  const target = at.sizeCount === 5 ? [at.aestheticScore] : [height, width]
  const data = Float32Array.from([height, width, 0, 0, ...target])
  return { data, shape: [1, data.length] }
}
