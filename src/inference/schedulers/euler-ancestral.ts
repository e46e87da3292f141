import { combine } from './arrays.ts'
import { makeScheduler } from './make-scheduler.ts'
import type { Scheduler, SchedulerConfig } from './scheduler.ts'
import {
  ancestralSplit,
  layOutSigmas,
  moveToSigma,
  readSigmaSettings,
  sigmaNoising,
} from './sigma-method.ts'

/** Euler steps that go too far down and add fresh noise (k-diffusion's ancestral sampling). */
export function createEulerAncestral(config: SchedulerConfig, steps: number): Scheduler {
  const { prediction_type: type, timestep_spacing } = readSigmaSettings(config)
  const { timesteps, sigmas } = layOutSigmas({ steps, config, flags: [], zeroSnr: 'Nearly' })

  return makeScheduler({
    timesteps,
    ...sigmaNoising(sigmas, timestep_spacing),
    step: (input) => {
      const from = sigmas[input.index]
      const { down, up } = ancestralSplit(from, sigmas[input.index + 1])
      const moved = moveToSigma({ ...input, type }, { from, to: down })
      return {
        sample: combine([
          [1, moved],
          [up, input.drawNoise()],
        ]),
      }
    },
  })
}
