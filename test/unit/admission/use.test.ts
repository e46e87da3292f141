import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  accruedGpus,
  addUse,
  emptyUse,
  gpusUsed,
  lastStartOf,
  pruneUse,
  type Spell,
  type Use,
} from '../../../src/shared/domain/admission/use.ts'
import { longTests } from '../../support/long.ts'
import { hourMs, nowMs } from './builders.ts'

const runs = { numRuns: longTests ? 1000 : 100 }

function aSpell(over: Partial<Spell> = {}): Spell {
  return {
    department: 'vision',
    user: 'kim',
    gpus: 1,
    startMs: nowMs - hourMs,
    endMs: nowMs,
    ...over,
  }
}

function useOf(spells: readonly Spell[]): Use {
  return spells.reduce(addUse, emptyUse(hourMs))
}

describe('decayed use', () => {
  it('is nothing for somebody nobody knows', () => {
    expect(gpusUsed(emptyUse(hourMs), 'vision', nowMs)).toBe(0)
    expect(lastStartOf(emptyUse(hourMs), 'vision')).toBe(0)
  })

  it('counts for the department and for the owner in it', () => {
    const use = useOf([aSpell(), aSpell({ user: 'lee', gpus: 3 }), aSpell({ user: undefined })])
    expect(gpusUsed(use, 'vision/kim', nowMs)).toBeCloseTo(0.5)
    expect(gpusUsed(use, 'vision/lee', nowMs)).toBeCloseTo(1.5)
    expect(gpusUsed(use, 'vision/', nowMs)).toBeCloseTo(0.5)
    expect(gpusUsed(use, 'vision', nowMs)).toBeCloseTo(2.5)
  })

  it('halves with every half-life', () => {
    const use = useOf([aSpell({ gpus: 8 })])
    const now = gpusUsed(use, 'vision', nowMs)
    expect(gpusUsed(use, 'vision', nowMs + hourMs)).toBeCloseTo(now / 2)
    expect(gpusUsed(use, 'vision', nowMs + 3 * hourMs)).toBeCloseTo(now / 8)
  })

  it('of g GPUs all the time is g', () => {
    const hours = Array.from({ length: 40 }, (_, index) => nowMs - index * hourMs)
    const use = useOf(hours.map((endMs) => aSpell({ gpus: 5, startMs: endMs - hourMs, endMs })))
    expect(gpusUsed(use, 'vision', nowMs)).toBeCloseTo(5)
  })

  it('of a job on processors counts as one GPU', () => {
    expect(gpusUsed(useOf([aSpell({ gpus: 0 })]), 'vision', nowMs)).toBeCloseTo(0.5)
  })

  it('grows while a job runs, without a jump when it ends', () => {
    const spell = aSpell({ gpus: 2, startMs: nowMs - 100_000 })
    const running = accruedGpus(spell, { atMs: nowMs, halfLifeMs: hourMs })
    expect(running).toBeGreaterThan(0)
    expect(gpusUsed(useOf([spell]), 'vision', nowMs)).toBeCloseTo(running, 12)
  })

  it('does not change with clocks that run backwards', () => {
    const use = useOf([aSpell()])
    expect(gpusUsed(use, 'vision', nowMs - 5000)).toBe(gpusUsed(use, 'vision', nowMs))
    expect(gpusUsed(useOf([aSpell({ startMs: nowMs + 5000 })]), 'vision', nowMs)).toBe(0)
  })

  it('remembers the last start, not the last end', () => {
    const use = useOf([aSpell({ startMs: 7, endMs: 8 }), aSpell({ startMs: 5, endMs: 9 })])
    expect(lastStartOf(use, 'vision/kim')).toBe(7)
  })

  it('forgets who has used nothing for long, and nobody else', () => {
    const use = useOf([
      aSpell({ department: 'old', startMs: nowMs - 21 * hourMs, endMs: nowMs - 20 * hourMs }),
      aSpell({ department: 'heavy', gpus: 1e6, startMs: 0, endMs: nowMs - 20 * hourMs }),
      aSpell({ department: 'brief', startMs: nowMs - 1, endMs: nowMs }),
    ])
    const kept = [...pruneUse(use, nowMs).entries.keys()]
    expect(kept).toEqual(['heavy', 'heavy/kim', 'brief', 'brief/kim'])
  })

  it('is the same in whatever order jobs end or are heard of', () => {
    const spell: fc.Arbitrary<Spell> = fc
      .tuple(
        fc.constantFrom('assembly', 'vision'),
        fc.constantFrom('kim', 'lee', undefined),
        fc.nat(8),
        fc.nat(3 * hourMs),
        fc.nat(3 * hourMs),
      )
      .map(([department, user, gpus, age, length]) => {
        return { department, user, gpus, startMs: nowMs - age - length, endMs: nowMs - age }
      })
    const both = fc.array(spell, { maxLength: 12 }).chain((all) => {
      return fc.tuple(fc.constant(all), fc.shuffledSubarray(all, { minLength: all.length }))
    })
    fc.assert(
      fc.property(both, ([one, other]) => {
        const [left, right] = [useOf(one), useOf(other)]
        expect([...left.entries.keys()].toSorted()).toEqual([...right.entries.keys()].toSorted())
        for (const key of left.entries.keys()) {
          expect(gpusUsed(right, key, nowMs)).toBeCloseTo(gpusUsed(left, key, nowMs), 9)
          expect(lastStartOf(right, key)).toBe(lastStartOf(left, key))
        }
      }),
      runs,
    )
  })
})
