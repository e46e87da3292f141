import { combine } from './arrays.ts'

export type LimitSettings = {
  readonly thresholding?: boolean
  readonly dynamic_thresholding_ratio?: number
  readonly sample_max_value?: number
  readonly clip_sample?: boolean
  readonly clip_sample_range?: number
}

/** Defaults of the methods that know dynamic thresholding. */
export const thresholdDefaults = {
  thresholding: false,
  dynamic_thresholding_ratio: 0.995,
  sample_max_value: 1,
}

/** Keeps a predicted picture within bounds as the settings say; thresholding goes before clipping. */
export function limitOriginal(settings: LimitSettings, original: Float64Array): Float64Array {
  const { clip_sample_range: range = 1 } = settings
  if (settings.thresholding) return threshold(original, settings)
  if (settings.clip_sample) return original.map((x) => Math.min(Math.max(x, -range), range))
  return original
}

/**
 * Dynamic thresholding (Saharia et al. 2022, arXiv 2205.11487, section 2.3) over all channels of
 * one picture: clips at a high quantile of the absolute values, between 1 and `sample_max_value`,
 * and divides by it.
 */
function threshold(original: Float64Array, settings: LimitSettings): Float64Array {
  const { dynamic_thresholding_ratio: ratio = 0.995, sample_max_value: max = 1 } = settings
  const bound = Math.min(Math.max(quantile(original.map(Math.abs), ratio), 1), max)
  const clipped = original.map((x) => Math.min(Math.max(x, -bound), bound))
  return combine([[1 / bound, clipped]])
}

/** torch.quantile: linear between neighbours, at a rank that it computes in float32. */
function quantile(values: Float64Array, share: number): number {
  const sorted = values.toSorted()
  const rank = Math.fround(Math.fround(share) * (sorted.length - 1))
  const low = Math.floor(rank)
  const high = Math.min(low + 1, sorted.length - 1)
  return sorted[low] + (sorted[high] - sorted[low]) * (rank - low)
}
