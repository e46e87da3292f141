import { describe, expect, test } from 'vitest'
import {
  addRun,
  addStart,
  type MeasuredRun,
  noRunTimes,
  type RunTimes,
  runSecondsOf,
  startSecondsOf,
} from '../../../src/shared/domain/admission/run-times.ts'

const node = { model: 'sd', kind: 'Node' } as const
const slot = { model: 'sd', kind: 'Slot' } as const

function measured(runs: readonly (readonly [work: number, seconds: number])[]): RunTimes {
  return runs.reduce(
    (times, [work, seconds]) => addRun(times, { ...node, work, seconds }),
    noRunTimes,
  )
}

const secondsOf = (times: RunTimes, work: number) => runSecondsOf(times, { ...node, work })

describe('how long a run takes', () => {
  test('is not known of a model that never ran', () => {
    expect(secondsOf(noRunTimes, 5)).toBeUndefined()
  })

  test('is not known in a slot from pods of its own, nor from another model', () => {
    const times = measured([[10, 20]])
    expect(runSecondsOf(times, { ...slot, work: 10 })).toBeUndefined()
    expect(runSecondsOf(times, { model: 'xl', kind: 'Node', work: 10 })).toBeUndefined()
  })

  test('is what it was for one of the same size', () => {
    expect(secondsOf(measured([[10, 20]]), 10)).toBe(20)
  })

  test('grows with the work while only one size was seen', () => {
    const times = measured([
      [10, 19],
      [10, 21],
      [10, 20],
    ])
    expect(secondsOf(times, 20)).toBeCloseTo(40, 0)
    expect(secondsOf(times, 0)).toBeCloseTo(0, 6)
  })

  test('has a fixed part as soon as sizes differ', () => {
    const runs = [1, 2, 4, 8, 16, 3, 7].map((work) => [work, 12 + 0.5 * work] as const)
    const times = measured(runs)
    expect(secondsOf(times, 0)).toBeCloseTo(12, 6)
    expect(secondsOf(times, 100)).toBeCloseTo(62, 6)
  })

  test('is never shorter for more work, whatever was measured', () => {
    const times = measured([
      [1, 30],
      [10, 5],
    ])
    expect(secondsOf(times, 1000)).toBe(secondsOf(times, 1))
  })

  test('has no fixed part below 0', () => {
    const times = measured([
      [10, 1],
      [20, 90],
    ])
    expect(secondsOf(times, 0)).toBeGreaterThanOrEqual(0)
    expect(secondsOf(times, 5)).toBeGreaterThanOrEqual(0)
  })

  test('follows a model that has become slower', () => {
    const before = Array.from({ length: 30 }, () => [10, 10] as const)
    const after = Array.from({ length: 30 }, () => [10, 40] as const)
    expect(secondsOf(measured([...before, ...after]), 10)).toBeGreaterThan(35)
  })

  test('of no work at all is the mean', () => {
    expect(secondsOf(measured([[0, 4]]), 0)).toBe(4)
    expect(secondsOf(measured([[0, 4]]), 9)).toBe(4)
  })
})

test('the time until a pod runs is a mean of its own, unknown before the first', () => {
  expect(startSecondsOf(noRunTimes, node)).toBeUndefined()
  const times = [10, 10, 20].reduce(
    (all, seconds) => addStart(all, { ...node, seconds }),
    noRunTimes,
  )
  expect(startSecondsOf(times, node)).toBeCloseTo(11, 6)
  expect(startSecondsOf(times, slot)).toBeUndefined()
})

function run(index: number): MeasuredRun {
  return { model: `m-${index}`, kind: 'Node', work: 1, seconds: 1 }
}

test('a thousand and one models forget the one that was measured the longest time ago', () => {
  const all = Array.from({ length: 1000 }, (_, index) => run(index))
  const full = [...all, run(0)].reduce(addRun, noRunTimes)
  const over = addRun(full, run(1000))
  const known = [0, 1, 2, 1000].map((index) => runSecondsOf(over, run(index)) !== undefined)
  expect(known).toEqual([true, false, true, true])
})

test('adding changes nothing that was there', () => {
  const before = measured([[10, 20]])
  addRun(before, { ...node, work: 10, seconds: 100 })
  addStart(before, { ...node, seconds: 9 })
  expect(secondsOf(before, 10)).toBe(20)
  expect(startSecondsOf(before, node)).toBeUndefined()
})
