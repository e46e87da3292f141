type Values = ArrayLike<number>

/** max |a − b| / (1 + max |b|): suits values of any size. Different lengths or NaN are infinite. */
export function relativeError(actual: Values, expected: Values): number {
  if (actual.length !== expected.length) return Infinity
  let [difference, largest] = [0, 0]
  for (let i = 0; i < expected.length; i++) {
    if (Number.isNaN(actual[i])) return Infinity
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]))
    largest = Math.max(largest, Math.abs(expected[i]))
  }
  return difference / (1 + largest)
}

export function absoluteError(actual: Values, expected: Values): number {
  if (actual.length !== expected.length) return Infinity
  let difference = 0
  for (let i = 0; i < expected.length; i++) {
    if (Number.isNaN(actual[i])) return Infinity
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]))
  }
  return difference
}

/** One compared quantity of a case: `error` may be at most `tolerance`. */
export type Check = { readonly what: string; readonly error: number; readonly tolerance: number }

export type CaseResult =
  | { readonly kind: 'Compared'; readonly name: string; readonly checks: readonly Check[] }
  | { readonly kind: 'Skipped'; readonly name: string; readonly reason: string }
  | { readonly kind: 'Broken'; readonly name: string; readonly reason: string }

export type GroupResult = { readonly group: string; readonly cases: readonly CaseResult[] }

export function failedChecks(result: CaseResult): readonly Check[] {
  if (result.kind !== 'Compared') return []
  // Written so that NaN fails.
  return result.checks.filter((check) => !(check.error <= check.tolerance))
}
