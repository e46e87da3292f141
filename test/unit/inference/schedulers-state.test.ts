import { describe, expect, test } from 'vitest'
import type { SchedulerState } from '../../../src/inference/schedulers/scheduler.ts'
import { stateFromJson, stateToJson } from '../../../src/inference/schedulers/state-json.ts'
import { type SchedulerName, schedulerNames } from '../../../src/shared/domain/job-schedulers.ts'
import { bare, latents, makeNamed, run } from './scheduler-runs.ts'

type Plan = readonly [name: SchedulerName, change: object]

/** Every name, and the settings with which methods remember more than by default. */
const plans: readonly Plan[] = [
  ...schedulerNames.map((name): Plan => [name, {}]),
  ['PNDM', { skip_prk_steps: false }],
  ['UniPC', { solver_order: 3 }],
  ['DPM++ 2M SDE', { solver_order: 3 }],
  ['DPM++ SDE', { solver_order: 3 }],
]
const steps = 6

const copies: readonly (readonly [string, (state: SchedulerState) => SchedulerState])[] = [
  ['the very value', (state) => state],
  ['a structured clone', (state) => structuredClone(state)],
  ['JSON', (state) => stateFromJson(stateToJson(state))],
]

describe('a saved run', () => {
  test.each(plans)('of %s %j goes on to the same bytes from every evaluation', (name, change) => {
    const whole = makeNamed(name, steps, change)
    const expected = run(whole, bare(whole))
    for (let end = 0; end <= whole.timesteps.length; end++) {
      const first = makeNamed(name, steps, change)
      const sample = run(first, bare(first), { end })
      for (const [, copy] of copies) {
        const second = makeNamed(name, steps, change)
        second.restore(copy(first.save()))
        expect(run(second, sample, { begin: end })).toEqual(expected)
      }
    }
  })

  test('is not changed by steps that come after it', () => {
    const scheduler = makeNamed('UniPC', steps)
    const sample = run(scheduler, bare(scheduler), { end: 3 })
    const state = scheduler.save()
    const before = stateToJson(state)
    const once = run(scheduler, sample, { begin: 3 })
    expect(stateToJson(state)).toBe(before)
    scheduler.restore(state)
    expect(run(scheduler, sample, { begin: 3 })).toEqual(once)
  })

  test('is what a method’s result depends on', () => {
    const first = makeNamed('DPM++ 2M', steps)
    const sample = run(first, bare(first), { end: 3 })
    const forgetful = makeNamed('DPM++ 2M', steps)
    expect(run(forgetful, sample, { begin: 3 })).not.toEqual(run(first, sample, { begin: 3 }))
  })

  test('still knows which step is next', () => {
    const first = makeNamed('Euler', steps)
    const sample = run(first, bare(first), { end: 2 })
    const second = makeNamed('Euler', steps)
    second.restore(first.save())
    expect(() => run(second, sample, { begin: 4 })).toThrow('step 4 is out of order: next is 2')
  })

  test('is refused by a shorter schedule', () => {
    const long = makeNamed('Euler', 20)
    run(long, bare(long))
    expect(() => makeNamed('Euler', 4).restore(long.save())).toThrow('as many steps')
  })
})

describe('stateFromJson', () => {
  test('brings every bit back, of zeros with a sign and of numbers that JSON lacks', () => {
    const odd = [-0, 0.1, Number.MIN_VALUE, Infinity, Number.NaN]
    const state: SchedulerState = {
      count: 2,
      next: 3,
      history: [Float64Array.from(odd), Float32Array.from(odd)],
      start: latents.noise,
    }
    expect(stateFromJson(stateToJson(state))).toEqual(state)
    const fresh: SchedulerState = { count: 0, next: null, history: [], start: null }
    expect(stateFromJson(stateToJson(fresh))).toEqual(fresh)
  })

  test.each([
    ['nothing', '', 'JSON'],
    ['another value', '[]', 'expected object'],
    ['a lacking part', '{"count":0,"next":null,"history":[]}', 'start'],
    ['bytes that are no whole numbers', packed('AAAA'), 'multiple of 4'],
    ['letters that are no base64', packed('??'), 'base64'],
  ])('refuses %s', (_, text, message) => {
    expect(() => stateFromJson(text)).toThrow(message)
  })
})

function packed(base64: string): string {
  return JSON.stringify({
    count: 0,
    next: null,
    history: [{ type: 'float32', base64 }],
    start: null,
  })
}
