import { describe, expect, it } from 'vitest'
import { Progress } from '../../../../src/inference/fetch/progress.ts'

function progressOf(totals: readonly number[]) {
  let nowMs = 0
  const progress = new Progress({ nowMs: () => nowMs }, totals)
  const at = (ms: number, ...bytes: readonly number[]) => {
    nowMs = ms
    for (const [index, each] of bytes.entries()) progress.note(index, each)
    return progress.now()
  }
  return { at }
}

describe('the progress of a fetch', () => {
  it('does not know how long it takes before anything has come', () => {
    const { at } = progressOf([1000])
    expect(at(0)).toEqual({ bytesDone: 0, bytesTotal: 1000, secondsRemaining: null })
    expect(at(5000, 0).secondsRemaining).toBeNull()
  })

  it('says how long the rest takes at the speed of the last seconds', () => {
    const { at } = progressOf([10_000, 1000])
    at(0)
    expect(at(1000, 1000, 0).secondsRemaining).toBe(10)
    for (let second = 2; second <= 60; second += 1) at(second * 1000, 1000 + second * 10, 0)
    // 10 bytes a second lately: the fast start is forgotten.
    expect(at(60_000, 1600, 0).secondsRemaining).toBe(940)
  })

  it('is over when all is there, however fast that was', () => {
    const { at } = progressOf([100])
    expect(at(0, 100)).toEqual({ bytesDone: 100, bytesTotal: 100, secondsRemaining: 0 })
  })

  it('never counts more than the packs have, and survives bytes that were wrong', () => {
    const { at } = progressOf([100, 50])
    expect(at(0, 120, 10).bytesDone).toBe(110)
    expect(at(1000, 0, 10)).toMatchObject({ bytesDone: 10, secondsRemaining: null })
  })

  it('of no bytes at all is over', () => {
    expect(progressOf([0]).at(0).secondsRemaining).toBe(0)
  })
})
