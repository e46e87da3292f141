import { levelOfSigma } from './prediction.ts'

export type SolverWeights = {
  readonly sample: number
  /** Weights of the x0 predictions, newest first. */
  readonly history: readonly number[]
  readonly noise: number
}

export type SolverPoint = {
  /** Noise levels around the step: target, current, then older ones. */
  readonly sigmas: readonly number[]
  readonly order: number
  /** The SDE form draws fresh noise. */
  readonly noisy: boolean
  /** Heun's instead of the midpoint's second-order term. */
  readonly heun: boolean
}

/**
 * Weights with which DPM-Solver++ joins the sample and its x0 predictions. The paper writes the
 * update in divided differences D0, D1, D2 (arXiv 2211.01095, appendix B); these are the same
 * terms collected by prediction.
 */
export function solverWeights(point: SolverPoint): SolverWeights {
  const [target, current] = point.sigmas.map(levelOfSigma)
  const lambdas = point.sigmas.map((sigma) => -Math.log(sigma))
  const h = lambdas[0] - lambdas[1]
  const [d0, d1, d2] = differenceWeights({ h, alpha: target.alpha, ...point })
  const decay = point.noisy ? Math.exp(-h) : 1
  return {
    sample: (target.sigma / current.sigma) * decay,
    history: historyWeights({ d0, d1, d2, lambdas, order: point.order }),
    noise: point.noisy ? target.sigma * Math.sqrt(1 - Math.exp(-2 * h)) : 0,
  }
}

function differenceWeights(at: {
  readonly h: number
  readonly alpha: number
  readonly noisy: boolean
  readonly heun: boolean
  readonly order: number
}): readonly number[] {
  const { alpha, order } = at
  // With z = h (or 2h for the SDE) both forms are the same φ-functions of −z.
  const z = at.noisy ? 2 * at.h : at.h
  const first = 1 - Math.exp(-z)
  if (order === 1) return [alpha * first, 0, 0]
  const middle = order === 2 && !at.heun
  const second = middle ? first / 2 : 1 - first / z
  if (order === 2) return [alpha * first, alpha * second, 0]
  // The reference's SDE form subtracts z here where the deterministic one adds it.
  const third = at.noisy ? (first - z) / z ** 2 - 0.5 : 0.5 - (z - first) / z ** 2
  return [alpha * first, alpha * second, alpha * third]
}

function historyWeights(at: {
  readonly d0: number
  readonly d1: number
  readonly d2: number
  readonly lambdas: readonly number[]
  readonly order: number
}): readonly number[] {
  const { d0, d1, d2, lambdas, order } = at
  if (order === 1) return [d0]
  const h = lambdas[0] - lambdas[1]
  const r0 = (lambdas[1] - lambdas[2]) / h
  if (order === 2) return [d0 + d1 / r0, -d1 / r0]
  const r1 = (lambdas[2] - lambdas[3]) / h
  // D1 = d10 + r0/(r0+r1)·(d10 − d11), D2 = (d10 − d11)/(r0+r1); d10, d11 divided differences.
  const d10 = d1 * (1 + r0 / (r0 + r1)) + d2 / (r0 + r1)
  const d11 = -d1 * (r0 / (r0 + r1)) - d2 / (r0 + r1)
  return [d0 + d10 / r0, -d10 / r0 + d11 / r1, -d11 / r1]
}
