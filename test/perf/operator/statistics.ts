/** The smallest value that this share of all values does not exceed (nearest rank); NaN of none. */
export function percentile(values: readonly number[], share: number): number {
  const rank = Math.max(1, Math.ceil(values.length * share))
  return values.toSorted((left, right) => left - right)[rank - 1] ?? NaN
}

export function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** `mean 1.24  p50 1.02  p99 3.11  max 3.40 s (n = 120)` of values in ms. */
export function describeSeconds(valuesMs: readonly number[]): string {
  const at = (share: number) => inSeconds(percentile(valuesMs, share))
  const mean = inSeconds(meanOf(valuesMs))
  const shares = `mean ${mean}  p50 ${at(0.5)}  p99 ${at(0.99)}  max ${at(1)}`
  return `${shares} s (n = ${valuesMs.length})`
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(2)
}

/** How many of them, at least one. */
export function scaled(count: number, scale: number): number {
  return Math.max(1, Math.round(count * scale))
}
