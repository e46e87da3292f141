import { assert } from '../../shared/assert.ts'

export type Values = Float32Array | Float64Array
export type Term = readonly [weight: number, values: Values]

/** Sum of weighted arrays in float64. Terms of weight 0 are left out, so 0 · ∞ cannot appear. */
export function combine(terms: readonly Term[]): Float64Array {
  const used = terms.filter(([weight]) => weight !== 0)
  const sum = new Float64Array(terms[0][1].length)
  for (const [weight, values] of used) {
    assert(values.length === sum.length, 'combined arrays have one length')
    for (let i = 0; i < sum.length; i++) sum[i] += weight * values[i]
  }
  return sum
}

export function toFloat32(values: Values): Float32Array {
  return Float32Array.from(values)
}

/** numpy's linspace: the last value is exact. */
export function linspace(first: number, last: number, count: number): number[] {
  const step = (last - first) / Math.max(1, count - 1)
  return Array.from({ length: count }, (_, i) =>
    i === count - 1 && count > 1 ? last : first + i * step,
  )
}

/** Rounds halves to the even neighbour, as numpy and torch do. */
export function roundHalfEven(value: number): number {
  const floor = Math.floor(value)
  const rest = value - floor
  if (rest !== 0.5) return Math.round(value)
  return floor % 2 === 0 ? floor : floor + 1
}

/** Reads a table at a fractional index, linearly between neighbours (numpy's interp). */
export function interpolate(table: readonly number[], at: number): number {
  const index = Math.min(Math.max(at, 0), table.length - 1)
  const low = Math.floor(index)
  const high = Math.min(low + 1, table.length - 1)
  return table[low] + (table[high] - table[low]) * (index - low)
}
