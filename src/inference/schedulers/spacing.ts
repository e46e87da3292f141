import { linspace, roundHalfEven } from './arrays.ts'
import { requireWhole, unsupported } from './settings.ts'

/** How a method spreads its steps over the training timesteps. */
export const spacingDefaults = {
  num_train_timesteps: 1000,
  timestep_spacing: 'linspace',
  steps_offset: 0,
}
/** More training timesteps than any model has. */
export const trainStepsMax = 10_000

export type SpacingSettings = typeof spacingDefaults

export type Spacing = {
  readonly steps: number
  /** Timesteps from here on are left out; by default none. */
  readonly end?: number
}

/**
 * Timesteps from noisy to clean (Lin et al. 2023, arXiv 2305.08891, table 2). Fractional with
 * `linspace`; the caller rounds if it must.
 */
export function spaceTimesteps(settings: SpacingSettings, spacing: Spacing): number[] {
  const { timestep_spacing: kind, num_train_timesteps: trainSteps, steps_offset: offset } = settings
  const { steps, end = trainSteps } = spacing
  requireWhole('num_train_timesteps', trainSteps, { min: steps, max: trainStepsMax })
  requireWhole('steps_offset', offset, { min: 0, max: trainSteps })
  switch (kind) {
    case 'linspace':
      return linspace(0, end - 1, steps).toReversed()
    case 'leading': {
      const ratio = Math.floor(end / steps)
      return Array.from({ length: steps }, (_, i) => (steps - 1 - i) * ratio + offset)
    }
    case 'trailing': {
      const ratio = trainSteps / steps
      const spread = Array.from({ length: steps }, (_, i) => roundHalfEven(end - i * ratio) - 1)
      // Of the end left out, some may remain; and arange's rounding would add −1 at 61 steps.
      return spread.filter((timestep) => timestep >= 0)
    }
    default:
      throw unsupported('timestep_spacing', kind)
  }
}

/**
 * Spacing of the DPM-Solver family: one point more than steps is laid out and the cleanest one
 * is dropped, because the solver ends at σ = 0 by itself.
 */
export function spaceSolverTimesteps(settings: SpacingSettings, spacing: Spacing): number[] {
  if (settings.timestep_spacing === 'trailing') return spaceTimesteps(settings, spacing)
  const spread = spaceTimesteps(settings, { ...spacing, steps: spacing.steps + 1 })
  return spread.slice(0, -1).map(roundHalfEven)
}

/** Steps of distilled models: some of the timesteps that they were distilled on. */
export function spaceDistilled(
  settings: {
    readonly num_train_timesteps: number
    readonly original_inference_steps: number
    /** Of those timesteps, the share from the clean end that is used; by default all. */
    readonly strength?: number
  },
  steps: number,
): readonly number[] {
  const { num_train_timesteps: trainSteps, original_inference_steps: known } = settings
  requireWhole('original_inference_steps', known, { min: 1, max: trainSteps })
  const used = Math.trunc(known * (settings.strength ?? 1))
  requireWhole('original_inference_steps × strength', used, { min: steps, max: trainSteps })
  const ratio = Math.floor(trainSteps / known)
  return Array.from({ length: steps }, (_, i) => {
    const place = Math.floor(i * (used / steps))
    return (used - place) * ratio - 1
  })
}
