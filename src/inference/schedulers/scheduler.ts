import type { Values } from './arrays.ts'

/** Draws standard normal values from the picture's generator, as many as one latent has. */
export type DrawNoise = () => Float32Array

export type StepInput = {
  readonly modelOutput: Float32Array
  /** The sample before `scaleModelInput`. */
  readonly sample: Float32Array
  /** Index of this model evaluation in `timesteps`. */
  readonly index: number
  readonly drawNoise: DrawNoise
  /** Amount of fresh noise for DDIM and TCD, 0..1; others ignore it. */
  readonly eta?: number
}

export type NoiseInput = {
  readonly original: Float32Array
  readonly noise: Float32Array
  /** Index in `timesteps` whose noise level is wanted. */
  readonly index: number
}

/** All that a run remembers from one step to the next. Nobody writes into it. */
export type SchedulerState = {
  /** Model evaluations made so far. */
  readonly count: number
  /** The only index that the next step may have; null while no step was made. */
  readonly next: number | null
  /** Earlier model outputs or what was made of them, newest first. */
  readonly history: readonly Values[]
  /** The sample with which a step of several evaluations began. */
  readonly start: Float32Array | null
}

/**
 * One denoising run over one picture. It remembers earlier steps, so every picture gets a fresh
 * one. Names and formulas follow diffusers; values are float32 outside and float64 inside.
 * Samples and outputs that are handed in are kept, not copied: do not write into them later.
 */
export type Scheduler = {
  /** One per model evaluation: second-order methods evaluate more often than they step. */
  readonly timesteps: readonly number[]
  /** Noise levels, one more than needed; null for methods that work on alphas. */
  readonly sigmas: readonly number[] | null
  readonly initNoiseSigma: number
  /** Evaluations per step, for cutting `timesteps` in image-to-image. */
  readonly order: number
  readonly scaleModelInput: (sample: Float32Array, index: number) => Float32Array
  /** Steps go by rising index from any first one; another order is a bug of the caller. */
  readonly step: (input: StepInput) => Float32Array
  readonly addNoise: (input: NoiseInput) => Float32Array
  /** The memory of the run so far: a value that later steps do not change. */
  readonly save: () => SchedulerState
  /** Goes on from a saved memory. The scheduler must have the same settings and steps. */
  readonly restore: (state: SchedulerState) => void
}

/** A scheduler's settings file, as diffusers writes it. */
export type SchedulerConfig = Readonly<Record<string, unknown>>

/** @throws AppError inference.unsupported that names the setting it cannot follow. */
export type CreateScheduler = (config: SchedulerConfig, steps: number) => Scheduler

/** Fractional timesteps that were computed in float32 differ a little from ours. */
const timestepTolerance = 1e-2

/** Where a timestep stands; of a doubled one the second, as diffusers' index_for_timestep. */
export function indexOfTimestep(timesteps: readonly number[], timestep: number): number {
  const isSame = (other: number) => Math.abs(other - timestep) <= timestepTolerance
  const first = timesteps.findIndex(isSame)
  if (first < 0) return timesteps.length - 1
  const second = timesteps.findIndex((other, i) => i > first && isSame(other))
  return second < 0 ? first : second
}
