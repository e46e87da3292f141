import { type Frame, predictionWeights } from './solver-frame.ts'
import { solveLinear } from './solve-linear.ts'

/** B(h) of the paper: bh1 is h, bh2 is e^h − 1. */
export type UnipcKind = 'bh1' | 'bh2'

/** Predicts the target from the base and older predictions (paper, section 3.2). */
export function unipcPredictor(frame: Frame, kind: UnipcKind): readonly number[] {
  const { nodes } = frame
  const right = rightSide(frame, { kind, count: nodes.length })
  // The reference takes ½ at order 2, which leaves the last equation out.
  const rhos = nodes.length === 1 ? [0.5] : solveVandermonde(nodes, right)
  return predictionWeights(frame, scale(frame, { kind, rhos }))
}

/** Corrects a predicted target: the weights begin with that of the prediction made there. */
export function unipcCorrector(frame: Frame, kind: UnipcKind): readonly number[] {
  const nodes = [...frame.nodes, 1]
  const right = rightSide(frame, { kind, count: nodes.length })
  const rhos = nodes.length === 1 ? [0.5] : solveVandermonde(nodes, right)
  const differences = scale(frame, { kind, rhos })
  const [base, ...weights] = predictionWeights({ ...frame, nodes }, differences)
  return [...weights.slice(-1), base, ...weights.slice(0, -1)]
}

function scale(
  { z, factor }: Frame,
  { kind, rhos }: { readonly kind: UnipcKind; readonly rhos: readonly number[] },
): readonly number[] {
  return rhos.map((rho) => -factor * stepSize(z, kind) * rho)
}

function stepSize(z: number, kind: UnipcKind): number {
  return kind === 'bh1' ? z : Math.expm1(z)
}

/** φ-functions of z divided by B(h), by order. */
function rightSide(
  { z }: Frame,
  { kind, count }: { readonly kind: UnipcKind; readonly count: number },
): readonly number[] {
  let factorial = 1
  let phi = Math.expm1(z) / z - 1
  return Array.from({ length: count }, (_, i) => {
    const value = (phi * factorial) / stepSize(z, kind)
    factorial *= i + 2
    phi = phi / z - 1 / factorial
    return value
  })
}

function solveVandermonde(nodes: readonly number[], right: readonly number[]): readonly number[] {
  const rows = nodes.map((_, power) => nodes.map((node) => node ** power))
  return solveLinear(rows, right)
}
