import type { Level } from './prediction.ts'

/**
 * What a solver integrates over λ = log(α/σ): the predicted picture or the predicted noise, and
 * whether as a stochastic equation, which draws fresh noise at every step.
 */
export type SolverForm = { readonly predicts: 'Original' | 'Noise'; readonly noisy: boolean }

/** One step from a base level to a target, in the numbers that its formulas share. */
export type Frame = {
  /** Weight of the sample at the base. */
  readonly ratio: number
  /** Weight of fresh noise. */
  readonly noise: number
  /** Argument of the φ-functions: h, −h or −2h. */
  readonly z: number
  /** What the φ-functions are multiplied by. */
  readonly factor: number
  /** (λ − λ_base) / h of other known points; none where the step has no length or no end. */
  readonly nodes: readonly number[]
}

/** Steps shorter than this are rounding: the schedule ends with its last level twice. */
const shortestStep = 1e-9

/**
 * Frames of DPM-Solver (Lu et al. 2022, arXiv 2206.00927, proposition 3.1), DPM-Solver++ and its
 * SDE form (arXiv 2211.01095, equations 8 and 17). `levels` are the target's, the base's and those
 * of the other points.
 */
export function frameOf(levels: readonly Level[], { predicts, noisy }: SolverForm): Frame {
  const [target, base] = levels
  const [to, from, ...others] = levels.map(({ alpha, sigma }) => Math.log(alpha) - Math.log(sigma))
  const h = to - from
  const hasLength = Math.abs(h) > shortestStep && Number.isFinite(h)
  const nodes = hasLength ? others.map((lambda) => (lambda - from) / h) : []
  if (predicts === 'Noise') {
    return {
      ratio: target.alpha / base.alpha,
      noise: noisy ? target.sigma * Math.sqrt(Math.expm1(2 * h)) : 0,
      z: h,
      factor: noisy ? 2 * target.sigma : target.sigma,
      nodes,
    }
  }
  return {
    ratio: (target.sigma / base.sigma) * (noisy ? Math.exp(-h) : 1),
    noise: noisy ? target.sigma * Math.sqrt(-Math.expm1(-2 * h)) : 0,
    z: noisy ? -2 * h : -h,
    factor: target.alpha,
    nodes,
  }
}

/**
 * From weights of the differences (m_i − m_base) / node, which the papers use, to weights of the
 * predictions themselves: the base's, then the others'.
 */
export function predictionWeights(
  { z, factor, nodes }: Frame,
  differences: readonly number[],
): readonly number[] {
  const others = differences.map((weight, i) => weight / nodes[i])
  const whole = -factor * Math.expm1(z)
  return [whole - others.reduce((sum, weight) => sum + weight, 0), ...others]
}
