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

/** On what figures were measured; those of other machines are not compared with them. */
export const benchConditions = z.strictObject({
  cpus: z.int().min(1),
  memoryGibibytes: z.int().min(1),
  node: z.string(),
  kubernetes: z.string(),
})
export type BenchConditions = z.output<typeof benchConditions>

const range = z.strictObject({
  expected: z.number(),
  better: z.enum(['Higher', 'Lower']),
  /** Share of the jobs: a small machine cannot do all of a section in a sensible time. */
  scale: z.number().positive().max(1),
})

export const rangeFile = z.strictObject({
  conditions: benchConditions,
  figures: z.record(z.string(), range),
})
export type RangeFile = z.output<typeof rangeFile>

/** How much worse than expected a figure may be. */
export const tolerance = 0.2

/** A run of the bench. */
export type Occasion = { readonly scale: number; readonly conditions: BenchConditions }

/** `Unknown`: nothing is recorded. `Incomparable`: recorded at another scale or on other cores. */
export type Verdict = 'Within' | 'Beyond' | 'Unknown' | 'Incomparable'

export function judge(figure: Figure, ranges: RangeFile, now: Occasion): Verdict {
  const known = ranges.figures[figure.key]
  if (known === undefined) return 'Unknown'
  if (known.scale !== now.scale || !isSameMachine(ranges, now)) return 'Incomparable'
  return isBeyond(figure, known.expected) ? 'Beyond' : 'Within'
}

function isSameMachine({ conditions }: RangeFile, now: Occasion): boolean {
  return conditions.cpus === now.conditions.cpus
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

/** The file with these values in place of those that it had; values of another machine go. */
export function withRecorded(
  ranges: RangeFile,
  figures: readonly Figure[],
  now: Occasion,
): RangeFile {
  const { conditions, scale } = now
  const recorded = figures.map(({ key, value, better }) => {
    return [key, { expected: Number(value.toPrecision(4)), better, scale }] as const
  })
  const kept = isSameMachine(ranges, now) ? ranges.figures : {}
  return { conditions, figures: { ...kept, ...Object.fromEntries(recorded) } }
}

export function printFigure(figure: Figure, verdict: Verdict): void {
  const { title, value, unit, better, mark } = figure
  printRow(title, `${value.toPrecision(4)} ${unit}`)
  const isMet = meetsMark(figure)
  const sign = better === 'Higher' ? '>' : '≤'
  if (isMet !== undefined) printRow(`  mark ${sign} ${mark} ${unit}`, isMet ? 'met' : 'MISSED')
  if (verdict !== 'Unknown') printRow('  beside the recorded run', verdict)
}
