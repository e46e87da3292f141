/** Columns as wide as their widest cell, two spaces apart, a line for each row. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    row.forEach((cell, at) => (widths[at] = Math.max(widths[at] ?? 0, cell.length)))
  }
  const lines = rows.map((row) => row.map((cell, at) => cell.padEnd(widths[at])).join('  '))
  return lines.map((line) => `${line.trimEnd()}\n`).join('')
}

const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `3.2 GiB` */
export function formatBytes(count: number): string {
  const power = count < 1024 ? 0 : Math.min(Math.floor(Math.log2(count) / 10), units.length - 1)
  const value = count / 1024 ** power
  return `${power === 0 || value >= 100 ? value.toFixed(0) : value.toFixed(1)} ${units[power]}`
}
