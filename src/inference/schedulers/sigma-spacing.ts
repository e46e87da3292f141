import { linspace } from './arrays.ts'

/** Karras et al. 2022, equation 5 with ρ = 7, from noisy to clean. */
export function karrasSigmas(range: {
  readonly min: number
  readonly max: number
  readonly count: number
}): number[] {
  const rho = 7
  const [low, high] = [range.min ** (1 / rho), range.max ** (1 / rho)]
  return linspace(0, 1, range.count).map((ramp) => (high + ramp * (low - high)) ** rho)
}

/** The fractional timestep at which training had this noise level, by log-linear search. */
export function timestepOfSigma(sigma: number, logSigmas: readonly number[]): number {
  const logSigma = Math.log(Math.max(sigma, 1e-10))
  const found = logSigmas.findLastIndex((value) => logSigma >= value)
  const low = Math.min(Math.max(found, 0), logSigmas.length - 2)
  const [lowLog, highLog] = [logSigmas[low], logSigmas[low + 1]]
  const share = Math.min(Math.max((lowLog - logSigma) / (lowLog - highLog), 0), 1)
  // Rounding noise of the logarithms would make 898.9999999999999 of a whole timestep.
  return Math.round((low + share) * 1e9) / 1e9
}
