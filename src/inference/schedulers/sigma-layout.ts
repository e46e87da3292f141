import { interpolate, roundHalfEven } from './arrays.ts'
import { readAlphas, sigmasOf } from './noise-schedule.ts'
import type { SchedulerConfig } from './scheduler.ts'
import { refuseSettings } from './settings.ts'
import { karrasSigmas, timestepOfSigma } from './sigma-spacing.ts'
import { spaceSolverTimesteps, spaceTimesteps } from './spacing.ts'

/** The settings by which all sigma methods lay out their steps. */
export const layoutDefaults = {
  num_train_timesteps: 1000,
  use_karras_sigmas: false,
  timestep_spacing: 'linspace',
  steps_offset: 0,
  final_sigmas_type: 'zero',
  beta_schedule: 'linear',
}
export type LayoutSettings = typeof layoutDefaults

export type SigmaLayout = {
  readonly timesteps: readonly number[]
  /** One more than timesteps: the last is where the run ends. */
  readonly sigmas: readonly number[]
  /** log σ of every training timestep, for finding timesteps of other sigmas. */
  readonly logSigmas: readonly number[]
}

type Plan = { readonly steps: number; readonly config: SchedulerConfig }

/** Euler, Euler a, Heun, LMS and DPM2: evenly spread timesteps, which may be fractional. */
export function layOutSigmas(settings: LayoutSettings, { steps, config }: Plan): SigmaLayout {
  const training = readTraining(config)
  const spaced = spaceTimesteps(spacingOf(settings, steps)).map(Math.fround)
  const plain = spaced.map((timestep) => interpolate(training, timestep))
  const logSigmas = training.map(Math.log)
  const last = lastSigma(settings, training)
  if (!settings.use_karras_sigmas) return { timesteps: spaced, sigmas: [...plain, last], logSigmas }
  const sigmas = karrasSigmas({ min: plain[plain.length - 1], max: plain[0], count: plain.length })
  const timesteps = sigmas.map((sigma) => Math.fround(timestepOfSigma(sigma, logSigmas)))
  return { timesteps, sigmas: [...sigmas, last], logSigmas }
}

/** The DPM-Solver family and UniPC: whole timesteps, and Karras over the whole training range. */
export function layOutSolverSigmas(settings: LayoutSettings, { steps, config }: Plan): SigmaLayout {
  const training = readTraining(config)
  const logSigmas = training.map(Math.log)
  const last = lastSigma(settings, training)
  if (!settings.use_karras_sigmas) {
    const timesteps = spaceSolverTimesteps(spacingOf(settings, steps))
    return { timesteps, sigmas: [...timesteps.map((t) => training[t]), last], logSigmas }
  }
  const range = { min: training[0], max: training[training.length - 1], count: steps }
  const sigmas = karrasSigmas(range)
  const exact = sigmas.map((sigma) => timestepOfSigma(sigma, logSigmas))
  const round = settings.beta_schedule === 'squaredcos_cap_v2' ? Math.trunc : roundHalfEven
  return { timesteps: exact.map(round), sigmas: [...sigmas, last], logSigmas }
}

function readTraining(config: SchedulerConfig): readonly number[] {
  refuseSettings(config, [
    'use_exponential_sigmas',
    'use_beta_sigmas',
    'use_lu_lambdas',
    'use_flow_sigmas',
    'sigma_min',
    'sigma_max',
  ])
  return sigmasOf(readAlphas(config))
}

function spacingOf(settings: LayoutSettings, steps: number) {
  return {
    kind: settings.timestep_spacing,
    steps,
    trainSteps: settings.num_train_timesteps,
    offset: settings.steps_offset,
  }
}

function lastSigma(settings: LayoutSettings, training: readonly number[]): number {
  return settings.final_sigmas_type === 'sigma_min' ? training[0] : 0
}
