import { levelOfSigma } from './prediction.ts'
import { solveLinear } from './solve-linear.ts'

export type UnipcWeights = {
  readonly sample: number
  /** Weights of the x0 predictions, newest first. */
  readonly history: readonly number[]
}

export type UnipcPoint = {
  /** Noise levels: the target, the base, then older ones; as many after the target as the order. */
  readonly sigmas: readonly number[]
  /** B(h) of the paper: bh1 is h, bh2 is e^h − 1. */
  readonly kind: string
}

type Frame = {
  readonly ratio: number
  readonly alpha: number
  readonly phi: number
  readonly b: number
  /** (λ_i − λ_base) / h of the older points, then 1 for the target. */
  readonly nodes: readonly number[]
  readonly right: readonly number[]
}

/** Predicts the target from the base and older predictions (paper, section 3.2). */
export function unipcPredictor(point: UnipcPoint): UnipcWeights {
  const frame = frameOf(point)
  const older = frame.nodes.slice(0, -1)
  // The reference takes ½ at order 2, which leaves the last equation out.
  const rhos = older.length === 1 ? [0.5] : solveVandermonde(older, frame.right)
  const [base, ...rest] = spread(frame, rhos, older)
  return { sample: frame.ratio, history: [base, ...rest] }
}

/** Corrects a predicted target: `history` then begins with the prediction made at the target. */
export function unipcCorrector(point: UnipcPoint): UnipcWeights {
  const frame = frameOf(point)
  const rhos = frame.nodes.length === 1 ? [0.5] : solveVandermonde(frame.nodes, frame.right)
  const older = frame.nodes.slice(0, -1)
  const target = rhos[rhos.length - 1]
  const [base, ...rest] = spread(frame, rhos.slice(0, -1), older)
  const atTarget = -frame.alpha * frame.b * target
  return { sample: frame.ratio, history: [atTarget, base - atTarget, ...rest] }
}

function frameOf({ sigmas, kind }: UnipcPoint): Frame {
  const [target, base] = sigmas.map(levelOfSigma)
  const lambdas = sigmas.map((sigma) => -Math.log(sigma))
  const h = lambdas[0] - lambdas[1]
  const phi = Math.expm1(-h)
  const b = kind === 'bh1' ? -h : phi
  const nodes = [...lambdas.slice(2).map((lambda) => (lambda - lambdas[1]) / h), 1]
  return {
    ratio: target.sigma / base.sigma,
    alpha: target.alpha,
    phi,
    b,
    nodes,
    right: rightSide({ z: -h, phi, b, count: nodes.length }),
  }
}

/** φ-functions of −h divided by B(h), by order. */
function rightSide(at: {
  readonly z: number
  readonly phi: number
  readonly b: number
  readonly count: number
}): readonly number[] {
  let factorial = 1
  let phiK = at.phi / at.z - 1
  return Array.from({ length: at.count }, (_, i) => {
    const value = (phiK * factorial) / at.b
    factorial *= i + 2
    phiK = phiK / at.z - 1 / factorial
    return value
  })
}

function solveVandermonde(nodes: readonly number[], right: readonly number[]): readonly number[] {
  const rows = nodes.map((_, power) => nodes.map((node) => node ** power))
  return solveLinear(rows, right.slice(0, nodes.length))
}

/** From weights of differences (m_i − m_base) / node to weights of the predictions. */
function spread(
  frame: Frame,
  rhos: readonly number[],
  nodes: readonly number[],
): readonly number[] {
  const older = rhos.map((rho, i) => (-frame.alpha * frame.b * rho) / nodes[i])
  const base = -frame.alpha * frame.phi - older.reduce((sum, weight) => sum + weight, 0)
  return [base, ...older]
}
