import { linspace, roundHalfEven } from './arrays.ts'
import { unsupported } from './settings.ts'

export type Spacing = {
  readonly kind: string
  readonly steps: number
  readonly trainSteps: number
  readonly offset: number
}

/** Timesteps from noisy to clean. Fractional with `linspace`; the caller rounds if it must. */
export function spaceTimesteps({ kind, steps, trainSteps, offset }: Spacing): number[] {
  switch (kind) {
    case 'linspace':
      return linspace(0, trainSteps - 1, steps).toReversed()
    case 'leading': {
      const ratio = Math.floor(trainSteps / steps)
      return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * ratio + offset)
    }
    case 'trailing': {
      const ratio = trainSteps / steps
      const count = Math.ceil(trainSteps / ratio)
      return Array.from({ length: count }, (_, i) => roundHalfEven(trainSteps - i * ratio) - 1)
    }
    default:
      throw unsupported('timestep_spacing', kind)
  }
}

/**
 * Spacing of the DPM-Solver family: one point more than steps is laid out and the cleanest one
 * is dropped, because the solver ends at σ = 0 by itself.
 */
export function spaceSolverTimesteps({ kind, steps, trainSteps, offset }: Spacing): number[] {
  if (kind === 'trailing') return spaceTimesteps({ kind, steps, trainSteps, offset })
  const spread = spaceTimesteps({ kind, steps: steps + 1, trainSteps, offset })
  return spread.slice(0, -1).map(roundHalfEven)
}

/** Steps of distilled models: some of the `originalSteps` timesteps they were distilled on. */
export function spaceDistilled(spacing: {
  readonly steps: number
  readonly trainSteps: number
  readonly originalSteps: number
}): readonly number[] {
  const { steps, trainSteps, originalSteps } = spacing
  if (steps > originalSteps) throw unsupported('original_inference_steps', originalSteps)
  const ratio = Math.floor(trainSteps / originalSteps)
  return Array.from({ length: steps }, (_, i) => {
    const place = Math.floor((i * originalSteps) / steps)
    return (originalSteps - place) * ratio - 1
  })
}
