import { z } from 'zod'
import { printRow } from '../print.ts'

/** One measured value of a section that is judged: by its mark, and by what was measured before. */
export type Figure = {
  /** `<section>.<what>`: its name in operator-ranges.json. */
  readonly key: string
  readonly title: string
  readonly value: number
  readonly unit: string
  readonly better: 'Higher' | 'Lower'
  /** The value of others that is to be beaten, at full scale. */
  readonly mark?: number
}

/** Under what a figure was measured; others are not compared with it. */
export const benchConditions = z.strictObject({
  scale: z.number().positive().max(1),
  cpus: z.int().min(1),
  memoryGibibytes: z.int().min(1),
  node: z.string(),
  kubernetes: z.string(),
})
export type BenchConditions = z.output<typeof benchConditions>

const range = z.strictObject({
  /** Null: nobody has recorded it yet. */
  expected: z.number().nullable(),
  better: z.enum(['Higher', 'Lower']),
})

export const rangeFile = z.strictObject({
  /** Of the run that recorded the values; null: none has yet. */
  conditions: benchConditions.nullable(),
  figures: z.record(z.string(), range),
})
export type RangeFile = z.output<typeof rangeFile>

/** How much worse than expected a figure may be. */
export const tolerance = 0.2

/** `Unknown`: nothing is recorded. `Incomparable`: recorded at another scale or on other cores. */
export type Verdict = 'Within' | 'Beyond' | 'Unknown' | 'Incomparable'

export function judge(figure: Figure, ranges: RangeFile, now: BenchConditions): Verdict {
  const known = ranges.figures[figure.key]?.expected ?? null
  if (ranges.conditions === null || known === null) return 'Unknown'
  const { scale, cpus } = ranges.conditions
  if (scale !== now.scale || cpus !== now.cpus) return 'Incomparable'
  return isBeyond(figure, known) ? 'Beyond' : 'Within'
}

function isBeyond({ value, better }: Figure, expected: number): boolean {
  // What is not a number was not measured.
  if (!Number.isFinite(value)) return true
  if (better === 'Lower') return value > expected * (1 + tolerance)
  return value < expected / (1 + tolerance)
}

export function meetsMark({ value, better, mark }: Figure): boolean | undefined {
  if (mark === undefined) return undefined
  return better === 'Higher' ? value > mark : value <= mark
}

/** The file with these values in place of those that it had. */
export function withRecorded(
  ranges: RangeFile,
  figures: readonly Figure[],
  conditions: BenchConditions,
): RangeFile {
  const recorded = figures.map(({ key, value, better }) => {
    return [key, { expected: Number(value.toPrecision(4)), better }] as const
  })
  const isSame = ranges.conditions?.scale === conditions.scale
  // Values of another scale would be taken for ones of this.
  const kept = isSame ? ranges.figures : withoutValues(ranges.figures)
  return { conditions, figures: { ...kept, ...Object.fromEntries(recorded) } }
}

function withoutValues(figures: RangeFile['figures']): RangeFile['figures'] {
  const entries = Object.entries(figures)
  return Object.fromEntries(entries.map(([key, one]) => [key, { ...one, expected: null }]))
}

export function printFigure(figure: Figure, verdict: Verdict): void {
  const { title, value, unit, better, mark } = figure
  printRow(title, `${value.toPrecision(4)} ${unit}`)
  const isMet = meetsMark(figure)
  const sign = better === 'Higher' ? '>' : '≤'
  if (isMet !== undefined) printRow(`  mark ${sign} ${mark} ${unit}`, isMet ? 'met' : 'MISSED')
  if (verdict !== 'Unknown') printRow('  beside the recorded run', verdict)
}
