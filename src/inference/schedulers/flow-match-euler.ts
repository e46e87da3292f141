import { combine, linspace } from './arrays.ts'
import { makeScheduler } from './make-scheduler.ts'
import { levelOfFlow } from './prediction.ts'
import type { Scheduler, SchedulerConfig } from './scheduler.ts'
import {
  readOptionalNumber,
  readSettings,
  requireSetting,
  requireWhole,
  unsupported,
} from './settings.ts'
import { commonFlags, readSigmaFlag, readSigmaRange, spaceSigmas } from './sigma-spacing.ts'
import { shiftFlow } from './solver-layout.ts'
import { trainStepsMax } from './spacing.ts'

const defaults = {
  num_train_timesteps: 1000,
  shift: 1,
  use_dynamic_shifting: false,
  time_shift_type: 'exponential',
  invert_sigmas: false,
  stochastic_sampling: false,
}
type Settings = typeof defaults

/**
 * Euler steps along straight paths from noise to picture (Esser et al. 2024, arXiv 2403.03206):
 * x = (1 − σ)·x0 + σ·noise, and the model predicts noise − x0. `use_dynamic_shifting` needs the
 * shift μ that the pipeline computes from the picture's size, as one more setting `mu`.
 */
export function createFlowMatchEuler(config: SchedulerConfig, steps: number): Scheduler {
  const settings = readSettings(defaults, config)
  const { num_train_timesteps: trainSteps, invert_sigmas: inverted } = settings
  requireWhole('num_train_timesteps', trainSteps, { min: steps, max: trainStepsMax })
  requireSetting(settings, { key: 'time_shift_type', among: ['exponential', 'linear'] })
  const levels = spread(stretch(shiftedLevels(settings, { config, steps }), config), config)
  const kept = inverted ? levels.map((sigma) => 1 - sigma) : levels
  const sigmas = [...kept, inverted ? 1 : 0]

  return makeScheduler({
    timesteps: kept.map((sigma) => Math.fround(sigma * trainSteps)),
    sigmas,
    levelAt: (index) => levelOfFlow(sigmas[index]),
    step: ({ modelOutput, sample, index, drawNoise }) => {
      const [from, to] = [sigmas[index], sigmas[index + 1]]
      if (!settings.stochastic_sampling) {
        return {
          sample: combine([
            [1, sample],
            [to - from, modelOutput],
          ]),
        }
      }
      // To the picture that the model believes in, and back with fresh noise.
      return {
        sample: combine([
          [1 - to, sample],
          [-from * (1 - to), modelOutput],
          [to, drawNoise()],
        ]),
      }
    },
  })
}

/** Levels from 1 to the smallest of training, moved towards noise. */
function shiftedLevels(
  settings: Settings,
  { config, steps }: { readonly config: SchedulerConfig; readonly steps: number },
): readonly number[] {
  const { shift, num_train_timesteps: trainSteps } = settings
  if (settings.use_dynamic_shifting) {
    const mu = readOptionalNumber(config, 'mu')
    if (mu === undefined) throw unsupported('use_dynamic_shifting', true, 'needs mu')
    const weight = settings.time_shift_type === 'linear' ? mu : Math.exp(mu)
    return linspace(1, 1 / trainSteps, steps).map((sigma) => weight / (weight + (1 / sigma - 1)))
  }
  // The reference shifts the smallest training sigma once for the range and once as a step.
  const range = linspace(shiftFlow(1, shift), shiftFlow(1 / trainSteps, shift), steps)
  return range.map((sigma) => shiftFlow(sigma, shift))
}

/** Stretches the levels so that the last one is `shift_terminal`. */
function stretch(levels: readonly number[], config: SchedulerConfig): readonly number[] {
  const terminal = readOptionalNumber(config, 'shift_terminal') ?? 0
  const scale = (1 - levels[levels.length - 1]) / (1 - terminal)
  // A single level is pure noise, from which nothing can be stretched.
  if (terminal === 0 || scale === 0) return levels
  return levels.map((sigma) => 1 - (1 - sigma) / scale)
}

function spread(levels: readonly number[], config: SchedulerConfig): readonly number[] {
  const flag = readSigmaFlag(config, commonFlags)
  if (flag === undefined) return levels
  const own = { min: levels[levels.length - 1], max: levels[0] }
  return spaceSigmas(flag, readSigmaRange(config, own), levels.length)
}
