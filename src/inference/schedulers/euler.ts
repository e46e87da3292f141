import { linspace } from './arrays.ts'
import { makeScheduler } from './make-scheduler.ts'
import type { Scheduler, SchedulerConfig } from './scheduler.ts'
import { readSettings, requireSetting } from './settings.ts'
import { layOutSigmas, moveToSigma, readSigmaSettings, sigmaNoising } from './sigma-method.ts'
import { commonFlags } from './sigma-spacing.ts'

const defaults = {
  interpolation_type: 'linear',
  timestep_type: 'discrete',
  final_sigmas_type: 'zero',
}

/** Euler steps (Karras et al. 2022, arXiv 2206.00364, algorithm 2 without churn). */
export function createEuler(given: SchedulerConfig, steps: number): Scheduler {
  const isOld = given['prediction_type'] === 'original_sample'
  const config = isOld ? { ...given, prediction_type: 'sample' } : given
  const settings = { ...readSigmaSettings(config), ...readSettings(defaults, config) }
  requireSetting(settings, { key: 'interpolation_type', among: ['linear', 'log_linear'] })
  requireSetting(settings, { key: 'timestep_type', among: ['discrete', 'continuous'] })
  requireSetting(settings, { key: 'final_sigmas_type', among: ['zero', 'sigma_min'] })
  const isLog = settings.interpolation_type === 'log_linear'
  const { timesteps, sigmas } = layOutSigmas({
    steps,
    config,
    flags: commonFlags,
    zeroSnr: 'Nearly',
    endsAtMin: settings.final_sigmas_type === 'sigma_min',
    ...(isLog && { levelsOf: (training: readonly number[]) => logLinear(training, steps) }),
  })
  // Stable Video Diffusion's model is told a quarter of log σ.
  const tellsSigma =
    settings.timestep_type === 'continuous' && settings.prediction_type === 'v_prediction'

  return makeScheduler({
    timesteps: tellsSigma ? sigmas.slice(0, -1).map((sigma) => Math.log(sigma) / 4) : timesteps,
    ...sigmaNoising(sigmas, settings.timestep_spacing),
    step: (input) => ({
      sample: moveToSigma(
        { ...input, type: settings.prediction_type },
        { from: sigmas[input.index], to: sigmas[input.index + 1] },
      ),
    }),
  })
}

/** Evenly spread log σ over all of training: one level more than steps, as the reference has it. */
function logLinear(training: readonly number[], steps: number): readonly number[] {
  const [low, high] = [Math.log(training[0]), Math.log(training[training.length - 1])]
  return linspace(high, low, steps + 1).map(Math.exp)
}
