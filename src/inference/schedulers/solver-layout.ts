import { interpolate, linspace, roundHalfEven } from './arrays.ts'
import { thresholdDefaults } from './limit-original.ts'
import { readAlphas, sigmasOf, type ZeroSnr } from './noise-schedule.ts'
import { type Level, levelOfFlow, levelOfSigma, predictionTypes } from './prediction.ts'
import type { SchedulerConfig } from './scheduler.ts'
import { requireSetting, requireWhole, unsupported } from './settings.ts'
import {
  readSigmaFlag,
  readSigmaRange,
  type SigmaFlag,
  spaceSigmas,
  timestepOfSigma,
} from './sigma-spacing.ts'
import { spaceSolverTimesteps, spacingDefaults } from './spacing.ts'

/** Settings that DPM-Solver in both forms and UniPC share. */
export const solverDefaults = {
  ...spacingDefaults,
  ...thresholdDefaults,
  solver_order: 2,
  prediction_type: 'epsilon',
  final_sigmas_type: 'zero',
  use_flow_sigmas: false,
  flow_shift: 1,
}
export type SolverSettings = typeof solverDefaults

export type SolverLayout = {
  readonly timesteps: readonly number[]
  /** One more than timesteps: the last is where the run ends. */
  readonly sigmas: readonly number[]
  readonly levels: readonly Level[]
}

export type SolverPlan = {
  readonly steps: number
  readonly config: SchedulerConfig
  /** The spacings that the method knows, and those of them with rounded timesteps. */
  readonly flags: readonly SigmaFlag[]
  readonly rounded: readonly SigmaFlag[]
  readonly zeroSnr: ZeroSnr
  /** Whether the method knows `lambda_min_clipped`. */
  readonly clipsLambda: boolean
  /** Levels of `use_flow_sigmas`. */
  readonly flowSigmas: (settings: SolverSettings, steps: number) => readonly number[]
  /** Whether `sigma_min` ends a curve or a flow at its own last level, not at training's. */
  readonly endsAtOwnMin: boolean
}

/**
 * Layout of the solvers: whole timesteps with the noise levels of training, or levels spread by a
 * curve over the whole training range, or the straight levels of flow matching.
 */
export function layOutSolver(settings: SolverSettings, plan: SolverPlan): SolverLayout {
  checkSettings(settings)
  const alphas = readAlphas(plan.config, plan.zeroSnr)
  const training = sigmasOf(alphas)
  const flag = readSigmaFlag(plan.config, plan.flags)
  if (settings.use_flow_sigmas) return layOutFlow(settings, { ...plan, flag, training })
  if (flag !== undefined) return layOutCurve(settings, { ...plan, flag, training })
  const clipped = plan.clipsLambda ? countClipped(alphas, plan.config) : 0
  const end = alphas.length - clipped
  const timesteps = spaceSolverTimesteps(settings, { steps: plan.steps, end })
  const sigmas = timesteps.map((timestep) => interpolate(training, timestep))
  return finish(timesteps, [...sigmas, endOf(settings, training[0])], levelOfSigma)
}

/** The straight levels of DPM-Solver with `use_flow_sigmas`. */
export function shiftedFlow({ flow_shift, num_train_timesteps }: SolverSettings, steps: number) {
  const rising = linspace(1, 1 / num_train_timesteps, steps + 1).map((alpha) => 1 - alpha)
  return rising
    .map((sigma) => shiftFlow(sigma, flow_shift))
    .toReversed()
    .slice(0, -1)
}

/** Moves flow levels towards noise (Esser et al. 2024, arXiv 2403.03206, equation 23). */
export function shiftFlow(sigma: number, shift: number): number {
  return (shift * sigma) / (1 + (shift - 1) * sigma)
}

type Known = SolverPlan & {
  readonly flag: SigmaFlag | undefined
  readonly training: readonly number[]
}

function layOutFlow(settings: SolverSettings, plan: Known): SolverLayout {
  const { steps, flag, training } = plan
  if (flag !== undefined) throw unsupported(flag, true, 'cannot go with use_flow_sigmas')
  const sigmas = plan.flowSigmas(settings, steps)
  const timesteps = sigmas.map((sigma) => Math.trunc(sigma * settings.num_train_timesteps))
  const min = plan.endsAtOwnMin ? sigmas[sigmas.length - 1] : training[0]
  return finish(timesteps, [...sigmas, endOf(settings, min)], levelOfFlow)
}

function layOutCurve(
  settings: SolverSettings,
  plan: Known & { readonly flag: SigmaFlag },
): SolverLayout {
  const { steps, flag, training, config } = plan
  const own = { min: training[0], max: training[training.length - 1] }
  // Lu's curve always covers the whole range.
  const range = flag === 'use_lu_lambdas' ? own : readSigmaRange(config, own)
  const sigmas = spaceSigmas(flag, range, steps)
  const logSigmas = training.map((sigma) => Math.fround(Math.log(sigma)))
  const round = plan.rounded.includes(flag) ? roundHalfEven : Math.trunc
  const timesteps = sigmas.map((sigma) => round(timestepOfSigma(sigma, logSigmas)))
  const min = plan.endsAtOwnMin ? sigmas[sigmas.length - 1] : training[0]
  return finish(timesteps, [...sigmas, endOf(settings, min)], levelOfSigma)
}

function finish(
  timesteps: readonly number[],
  sigmas: readonly number[],
  levelOf: (sigma: number) => Level,
): SolverLayout {
  return { timesteps, sigmas, levels: sigmas.map(levelOf) }
}

function endOf({ final_sigmas_type }: SolverSettings, min: number): number {
  return final_sigmas_type === 'zero' ? 0 : min
}

/** How many of the noisiest timesteps lie under `lambda_min_clipped`; JSON has no −∞. */
function countClipped(alphas: readonly number[], config: SchedulerConfig): number {
  const bound = config['lambda_min_clipped'] ?? '-inf'
  if (bound === '-inf') return 0
  if (typeof bound !== 'number') throw unsupported('lambda_min_clipped', bound)
  return alphas.filter((alpha) => 0.5 * Math.log(alpha / (1 - alpha)) < bound).length
}

function checkSettings(settings: SolverSettings): void {
  const { solver_order, use_flow_sigmas } = settings
  requireWhole('solver_order', solver_order, { min: 1, max: 3 })
  requireSetting(settings, { key: 'final_sigmas_type', among: ['zero', 'sigma_min'] })
  requireSetting(settings, {
    key: 'prediction_type',
    among: use_flow_sigmas ? [...predictionTypes, 'flow_prediction'] : predictionTypes,
  })
}
