/** The bench's table: a title, then rows of name and value. */
export function printTitle(title: string): void {
  process.stdout.write(`\n${title}\n`)
}

export function printRow(name: string, value: string): void {
  process.stdout.write(`  ${name.padEnd(44)} ${value}\n`)
}

/** `p50 12.3  p90 15.0  max 16.1 ms (n = 20)` */
export function describeTimes(timesMs: readonly number[]): string {
  const sorted = timesMs.toSorted((a, b) => a - b)
  const at = (share: number) => (sorted[Math.floor((sorted.length - 1) * share)] ?? NaN).toFixed(1)
  return `p50 ${at(0.5)}  p90 ${at(0.9)}  max ${at(1)} ms (n = ${sorted.length})`
}

export function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? NaN
}
