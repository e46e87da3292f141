import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { backOffMs, startBackOff } from '../../../../src/platform/kube/back-off.ts'
import { KubeError } from '../../../../src/platform/kube/errors.ts'
import { startPacing } from '../../../../src/platform/kube/list-watch-pacing.ts'

const schedule = { baseMs: 800, capMs: 30_000, jitter: 0.5 }

describe('backOffMs', () => {
  it('doubles from the base up to the cap', () => {
    const steps = [0, 1, 2, 3, 4, 5, 6, 1_000]
    expect(steps.map((step) => backOffMs(step, { ...schedule, random: () => 0 }))).toEqual([
      800, 1_600, 3_200, 6_400, 12_800, 20_000, 20_000, 20_000,
    ])
    expect(backOffMs(1_000, { ...schedule, random: () => 1 })).toBe(30_000)
  })

  it('stays between the step and the cap for any randomness', () => {
    fc.assert(
      fc.property(fc.nat(5_000), fc.double({ min: 0, max: 1, noNaN: true }), (step, chance) => {
        const delayMs = backOffMs(step, { ...schedule, random: () => chance })
        expect(delayMs).toBeGreaterThanOrEqual(Math.min(800 * 2 ** step, 20_000))
        expect(delayMs).toBeLessThanOrEqual(30_000)
      }),
    )
  })

  it('refuses a cap that leaves no room', () => {
    const options = { baseMs: 800, capMs: 1_000, jitter: 0.5, random: () => 0 }
    expect(() => backOffMs(0, options)).toThrow('room')
  })

  it('starts from the base again after a reset', () => {
    const backOff = startBackOff({ ...schedule, random: () => 0 })
    expect([backOff.next(), backOff.next()]).toEqual([800, 1_600])
    backOff.reset()
    expect(backOff.next()).toBe(800)
  })
})

function build(chance = 0) {
  let nowMs = 0
  const pacing = startPacing({ clock: { nowMs: () => nowMs }, random: () => chance })
  return (error: unknown, livedMs = 0, { plannedMs = 30_000, news = false } = {}) => {
    pacing.begin(plannedMs)
    nowMs += livedMs
    return pacing.end(error, { news })
  }
}

function asking(retryAfterSeconds: number) {
  return new KubeError({ status: 429, reason: 'TooManyRequests', message: 'x', retryAfterSeconds })
}

describe('the pacing of a list-watch', () => {
  const refused = new KubeError({ status: 500, reason: 'InternalError', message: 'fault' })
  const unreachable = new KubeError({ status: 0, reason: 'Unreachable', message: 'fault' })

  it('grows to 30 s while the server refuses', () => {
    const end = build(1)
    const delays = Array.from({ length: 8 }, () => end(refused))
    expect(delays).toEqual([1_200, 2_400, 4_800, 9_600, 19_200, 30_000, 30_000, 30_000])
  })

  it('never waits longer than 4 s while nobody answers, so it resumes within 5 s', () => {
    const end = build(1)
    const delays = Array.from({ length: 100 }, () => end(unreachable))
    expect(Math.max(...delays)).toBe(4_000)
    expect(delays[0]).toBe(1_200)
  })

  it('begins with short steps when a server that was away starts to answer', () => {
    const end = build()
    for (let step = 0; step < 10; step += 1) end(refused)
    end(unreachable)
    expect(end(refused)).toBe(800)
  })

  it('continues at once after a watch that lasted as long as it was asked to', () => {
    expect(build(1)(undefined, 30_000)).toBe(0)
    expect(build(1)(undefined, 45_000, { plannedMs: 45_000 })).toBe(0)
  })

  it('spreads those out whose server ended all watches early and in order', () => {
    const chances = [0, 0.25, 0.999]
    const delays = chances.map((chance) => build(chance)(undefined, 29_999))
    expect(delays).toEqual([0, 250, 999])
  })

  it('takes no back-off step for an early end that is not at once', () => {
    const end = build(0)
    expect([end(undefined, 10_000), end(undefined, 10_000)]).toEqual([0, 0])
    expect(end(undefined, 9_999)).toBe(800)
  })

  it('pauses ever longer after watches that end at once', () => {
    const end = build()
    expect([end(undefined, 5), end(undefined, 5), end(undefined, 5)]).toEqual([800, 1_600, 3_200])
  })

  it('hardly waits after news: the server may have more of it than it can send', () => {
    const end = build(0.5)
    const delays = Array.from({ length: 20 }, () => end(undefined, 5, { news: true }))
    expect(Math.max(...delays)).toBe(100)
    expect(end(refused, 5, { news: true })).toBeGreaterThanOrEqual(800)
  })

  it('forgets old faults only after a healthy time', () => {
    const end = build()
    end(refused)
    end(refused)
    expect(end(refused, 24_999)).toBe(3_200)
    expect(end(refused, 25_000)).toBe(800)
  })

  it('waits as long as the server asks, but not for ever', () => {
    const end = build()
    expect(end(asking(7))).toBe(7_000)
    expect(end(asking(1))).toBe(1_600)
    expect(end(asking(999_999))).toBe(300_000)
  })
})
