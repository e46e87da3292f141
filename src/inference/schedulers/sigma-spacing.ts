import { linspace } from './arrays.ts'
import { unreachable } from '../../shared/assert.ts'
import { symmetricBetaQuantile } from './beta-quantile.ts'
import type { SchedulerConfig } from './scheduler.ts'
import { readOptionalNumber, readSettings, unsupported } from './settings.ts'

const flags = {
  use_karras_sigmas: false,
  use_lu_lambdas: false,
  use_exponential_sigmas: false,
  use_beta_sigmas: false,
}
export type SigmaFlag = keyof typeof flags

/** The spacings of nearly all methods on sigmas. */
export const commonFlags: readonly SigmaFlag[] = [
  'use_karras_sigmas',
  'use_exponential_sigmas',
  'use_beta_sigmas',
]

/** Which of the spacings that a method knows its settings ask for. */
export function readSigmaFlag(
  config: SchedulerConfig,
  known: readonly SigmaFlag[],
): SigmaFlag | undefined {
  const settings = readSettings(flags, config)
  const [chosen, other] = commonFlags.filter((flag) => known.includes(flag) && settings[flag])
  if (other !== undefined) throw unsupported(other, true, `cannot go with ${chosen}`)
  const wantsLu = known.includes('use_lu_lambdas') && settings.use_lu_lambdas
  return wantsLu && chosen !== 'use_karras_sigmas' ? 'use_lu_lambdas' : chosen
}

type Range = { readonly min: number; readonly max: number }

/** The range that `sigma_min` and `sigma_max` put in place of a method's own. */
export function readSigmaRange(config: SchedulerConfig, own: Range): Range {
  const min = readOptionalNumber(config, 'sigma_min') ?? own.min
  const max = readOptionalNumber(config, 'sigma_max') ?? own.max
  if (!(min > 0 && min <= max)) throw unsupported('sigma_min', min, `must be from 0 to ${max}`)
  return { min, max }
}

/** Noise levels from noisy to clean. */
export function spaceSigmas(flag: SigmaFlag, { min, max }: Range, count: number): number[] {
  switch (flag) {
    case 'use_karras_sigmas':
      return karrasSigmas({ min, max }, count)
    case 'use_lu_lambdas':
    case 'use_exponential_sigmas':
      return linspace(Math.log(max), Math.log(min), count).map(Math.exp)
    case 'use_beta_sigmas':
      // Kim et al. 2024 (arXiv 2407.12173) with both shapes 0.6.
      return linspace(0, 1, count).map(
        (ramp) => min + symmetricBetaQuantile(1 - ramp, 0.6) * (max - min),
      )
    default:
      return unreachable(flag)
  }
}

/** Karras et al. 2022, equation 5 with ρ = 7. */
function karrasSigmas(range: Range, count: number): number[] {
  const rho = 7
  const [low, high] = [range.min ** (1 / rho), range.max ** (1 / rho)]
  return linspace(0, 1, count).map((ramp) => (high + ramp * (low - high)) ** rho)
}

/** The fractional timestep at which training had this noise level, by log-linear search. */
export function timestepOfSigma(sigma: number, logSigmas: readonly number[]): number {
  const logSigma = Math.log(Math.max(sigma, 1e-10))
  const found = logSigmas.findLastIndex((value) => logSigma >= value)
  const low = Math.min(Math.max(found, 0), logSigmas.length - 2)
  const [lowLog, highLog] = [logSigmas[low], logSigmas[low + 1]]
  const share = Math.min(Math.max((lowLog - logSigma) / (lowLog - highLog), 0), 1)
  return (1 - share) * low + share * (low + 1)
}

/** A timestep that is whole but for float32's rounding of the logarithms. */
export function settleTimestep(timestep: number): number {
  const whole = Math.round(timestep)
  return Math.abs(timestep - whole) < 1e-3 ? whole : Math.fround(timestep)
}
