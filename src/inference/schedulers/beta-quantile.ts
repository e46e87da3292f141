/**
 * The value below which a share (0..1) of a symmetric beta distribution with both shapes `a` lies:
 * the inverse of the regularised incomplete beta function I_x(a, a) (DLMF 8.17).
 */
export function symmetricBetaQuantile(share: number, a: number): number {
  if (share > 0.5) return 1 - symmetricBetaQuantile(1 - share, a)
  const whole = 2 * incompleteBeta(0.5, a)
  return invert(share * whole, a)
}

/**
 * Solves B_x(a, a) = area for x in 0..½ by Newton's method. In u = xᵃ the function is nearly a
 * straight line, so that few rounds reach the last bits even where x is tiny.
 */
function invert(area: number, a: number): number {
  let x = (area * a) ** (1 / a)
  for (let round = 0; round < 30; round++) {
    const u = x ** a - ((incompleteBeta(x, a) - area) * a) / (1 - x) ** (a - 1)
    const next = Math.min(u ** (1 / a), 0.5)
    if (next === x) break
    x = next
  }
  return x
}

/** B_x(a, a) by its power series (DLMF 8.17.7 with 15.2.1); x is at most ½, so it converges fast. */
function incompleteBeta(x: number, a: number): number {
  let coefficient = 1
  let sum = 1 / a
  for (let n = 1; n < 200 && Math.abs(coefficient) > 1e-18; n++) {
    coefficient *= (x * (n - a)) / n
    sum += coefficient / (a + n)
  }
  return x ** a * sum
}
