import { combine, toFloat32 } from './arrays.ts'
import type { NoiseInput, Scheduler } from './scheduler.ts'

/**
 * How methods on unscaled samples (x = x0 + σ·noise) feed the model and add noise. Shared by
 * Euler, Euler a, Heun, LMS and DPM2.
 */
export function sigmaScaling(
  sigmas: readonly number[],
): Pick<Scheduler, 'scaleModelInput' | 'addNoise'> {
  return {
    scaleModelInput: (sample, index) =>
      toFloat32(combine([[1 / Math.sqrt(sigmas[index] ** 2 + 1), sample]])),
    addNoise: ({ original, noise, index }: NoiseInput) =>
      toFloat32(
        combine([
          [1, original],
          [sigmas[index], noise],
        ]),
      ),
  }
}

/** Standard deviation of the first sample, which depends on where the spacing begins. */
export function initialSigma(sigmas: readonly number[], spacing: string): number {
  const largest = Math.max(...sigmas)
  return spacing === 'leading' ? Math.sqrt(largest * largest + 1) : largest
}
