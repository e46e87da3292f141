import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type BenchConditions,
  type Figure,
  judge,
  meetsMark,
  type Occasion,
  type RangeFile,
  rangeFile,
  withRecorded,
} from '../../perf/operator/figures.ts'

const conditions: BenchConditions = {
  cpus: 2,
  memoryGibibytes: 23,
  node: 'v24',
  kubernetes: 'v1.35',
}
const full: Occasion = { scale: 1, conditions }
const rate: Figure = {
  key: 'a.rate',
  title: 'rate',
  value: 100,
  unit: '/s',
  better: 'Higher',
  mark: 42.7,
}
const wait: Figure = {
  key: 'a.wait',
  title: 'wait',
  value: 10,
  unit: 's',
  better: 'Lower',
  mark: 10,
}
const ranges: RangeFile = {
  conditions,
  figures: {
    'a.rate': { expected: 120, better: 'Higher', scale: 1 },
    'a.wait': { expected: 10, better: 'Lower', scale: 1 },
  },
}

describe('ranges', () => {
  test.each([
    { figure: rate, value: 100, is: 'Within' },
    { figure: rate, value: 99.9, is: 'Beyond' },
    { figure: rate, value: 1000, is: 'Within' },
    { figure: rate, value: NaN, is: 'Beyond' },
    { figure: wait, value: 12, is: 'Within' },
    { figure: wait, value: 12.1, is: 'Beyond' },
    { figure: wait, value: 0, is: 'Within' },
    { figure: wait, value: Infinity, is: 'Beyond' },
    { figure: { ...wait, key: 'a.other' }, value: 1, is: 'Unknown' },
  ])('judge $figure.key of $value as $is', ({ figure, value, is }) => {
    expect(judge({ ...figure, value }, ranges, full)).toBe(is)
  })

  test('are not compared at another scale or on other cores', () => {
    const others = [
      { ...full, scale: 0.1 },
      { ...full, conditions: { ...conditions, cpus: 8 } },
    ]
    for (const other of others) expect(judge(rate, ranges, other)).toBe('Incomparable')
    const newer = { ...full, conditions: { ...conditions, node: 'v25' } }
    expect(judge(rate, ranges, newer)).toBe('Within')
  })

  test('that were 0 allow nothing more', () => {
    const zero = { expected: 0, better: 'Lower', scale: 1 } as const
    const none = { conditions, figures: { 'a.wait': zero } }
    expect(judge({ ...wait, value: 0 }, none, full)).toBe('Within')
    expect(judge({ ...wait, value: 1 }, none, full)).toBe('Beyond')
  })

  test('keep the values of sections that were not run, each with its own scale', () => {
    const { figures } = withRecorded(ranges, [{ ...rate, value: 123.456 }], {
      ...full,
      scale: 0.1,
    })
    expect(figures).toEqual({
      ...ranges.figures,
      'a.rate': { expected: 123.5, better: 'Higher', scale: 0.1 },
    })
  })

  test('of another machine go', () => {
    const other = { ...full, conditions: { ...conditions, cpus: 8 } }
    expect(withRecorded(ranges, [rate], other)).toEqual({
      conditions: other.conditions,
      figures: { 'a.rate': { expected: 100, better: 'Higher', scale: 1 } },
    })
  })

  test('that are committed can be read', () => {
    const path = join(import.meta.dirname, '../../perf/operator-ranges.json')
    const { figures } = rangeFile.parse(JSON.parse(readFileSync(path, 'utf8')))
    expect(figures['writes.perPooledJob']?.better).toBe('Lower')
  })
})

test.each([
  { figure: rate, value: 42.8, is: true },
  { figure: rate, value: 42.7, is: false },
  { figure: wait, value: 10, is: true },
  { figure: wait, value: 10.01, is: false },
  { figure: wait, value: NaN, is: false },
])('a mark of $figure.mark is met by $value: $is', ({ figure, value, is }) => {
  expect(meetsMark({ ...figure, value })).toBe(is)
})
