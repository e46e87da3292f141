import type { FloatTensor } from '../runtime/component.ts'

/** Longest wavelength of the sines, as for timesteps. */
const base = 10_000

/**
 * Sines and cosines of a guidance scale, for models distilled with guidance (Meng et al. 2023,
 * arXiv 2210.03142): scale − 1, times 1000, at `width / 2` frequencies → [1, width]. Every
 * operation rounds to float32, because a phase of thousands makes each rounding visible.
 * Reference: diffusers' `get_guidance_scale_embedding`.
 */
export function guidanceEmbedding(guidanceScale: number, width: number): FloatTensor {
  const round = Math.fround
  const half = Math.floor(width / 2)
  const decay = round(round(Math.log(base)) / (half - 1))
  const phase = round(round(guidanceScale - 1) * 1000)
  const data = new Float32Array(width)
  for (let i = 0; i < half; i++) {
    const angle = round(phase * round(Math.exp(round(i * -decay))))
    data[i] = Math.sin(angle)
    data[half + i] = Math.cos(angle)
  }
  return { data, shape: [1, width] }
}
