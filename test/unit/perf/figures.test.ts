import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import {
  type BenchConditions,
  type Figure,
  judge,
  meetsMark,
  type RangeFile,
  rangeFile,
  withRecorded,
} from '../../perf/operator/figures.ts'

const conditions: BenchConditions = {
  scale: 1,
  cpus: 2,
  memoryGibibytes: 23,
  node: 'v24',
  kubernetes: 'v1.35',
}
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
    'a.rate': { expected: 120, better: 'Higher' },
    'a.wait': { expected: 10, better: 'Lower' },
    'a.new': { expected: null, better: 'Lower' },
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
    { figure: { ...wait, key: 'a.new' }, value: 1, is: 'Unknown' },
    { figure: { ...wait, key: 'a.other' }, value: 1, is: 'Unknown' },
  ])('judge $figure.key of $value as $is', ({ figure, value, is }) => {
    expect(judge({ ...figure, value }, ranges, conditions)).toBe(is)
  })

  test('are not compared at another scale or on other cores', () => {
    for (const change of [{ scale: 0.1 }, { cpus: 8 }]) {
      expect(judge(rate, ranges, { ...conditions, ...change })).toBe('Incomparable')
    }
    expect(judge(rate, ranges, { ...conditions, node: 'v25' })).toBe('Within')
    expect(judge(rate, { ...ranges, conditions: null }, conditions)).toBe('Unknown')
  })

  test('that were 0 allow nothing more', () => {
    const none = { conditions, figures: { 'a.wait': { expected: 0, better: 'Lower' as const } } }
    expect(judge({ ...wait, value: 0 }, none, conditions)).toBe('Within')
    expect(judge({ ...wait, value: 1 }, none, conditions)).toBe('Beyond')
  })

  test('keep the values of sections that were not run, of the same scale only', () => {
    const recorded = withRecorded(ranges, [{ ...rate, value: 123.456 }], conditions)
    expect(recorded.figures).toEqual({
      ...ranges.figures,
      'a.rate': { expected: 123.5, better: 'Higher' },
    })
    const small = withRecorded(ranges, [rate], { ...conditions, scale: 0.1 })
    expect(small.conditions?.scale).toBe(0.1)
    expect(small.figures['a.wait']).toEqual({ expected: null, better: 'Lower' })
    expect(small.figures['a.rate']).toEqual({ expected: 100, better: 'Higher' })
  })

  test('that are committed can be read', () => {
    const path = join(import.meta.dirname, '../../perf/operator-ranges.json')
    const { figures } = rangeFile.parse(JSON.parse(readFileSync(path, 'utf8')))
    expect(figures['kueue-pooled.jobsPerSecond']?.better).toBe('Higher')
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
