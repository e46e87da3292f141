import { describe, expect, it } from 'vitest'
import {
  expiringLots,
  isUnwarned,
  isUrgent,
  rememberWarned,
  type Warned,
} from '../../../src/api/features/expiry-warnings/decide.ts'
import { monthEndMs } from '../../../src/shared/domain/month.ts'

const dayMs = 86_400_000
const nowMs = Date.parse('2026-11-26T12:00:00Z')
const lot = (id: string, leftMs: number) => ({ id, microCredits: 5, expiresMs: nowMs + leftMs })

describe('a lot', () => {
  it.each([
    [7 * dayMs + 1, undefined],
    [7 * dayMs, 'Week'],
    [dayMs + 1, 'Week'],
    [dayMs, 'Day'],
    [1, 'Day'],
    [0, undefined],
    [-1, undefined],
  ])('that lapses in %i ms is worth a warning: %s', (leftMs, stage) => {
    expect(expiringLots([lot('a', leftMs)], nowMs)[0]?.stage).toBe(stage)
  })

  it('that never lapses is worth none', () => {
    expect(expiringLots([{ id: 'a', microCredits: 5, expiresMs: null }], nowMs)).toEqual([])
  })

  it('that is a month’s budget without carry-over is worth one on its last day', () => {
    const budget = { id: 'budget:vision:2026-11', microCredits: 5 }
    const own = { ...budget, expiresMs: monthEndMs('2026-11') }
    expect(expiringLots([own], nowMs)).toEqual([])
    expect(expiringLots([own], monthEndMs('2026-11') - dayMs)).toMatchObject([{ stage: 'Day' }])
    const carried = { ...budget, expiresMs: nowMs + 3 * dayMs }
    expect(expiringLots([carried], nowMs)).toMatchObject([{ stage: 'Week' }])
  })

  it('comes in order of its end, thirty at once', () => {
    const lots = Array.from({ length: 40 }, (_, index) => lot(`l${index}`, (40 - index) * 1000))
    const found = expiringLots(lots, nowMs)
    expect(found).toHaveLength(30)
    expect(found[0]?.lotId).toBe('l39')
    expect(found.at(-1)?.lotId).toBe('l10')
  })
})

describe('a warning', () => {
  const week: Warned = { lotId: 'a', stage: 'Week', expiresMs: nowMs + 3 * dayMs }
  const day: Warned = { ...week, stage: 'Day' }

  it('is given once a stage', () => {
    expect(isUnwarned(week, [])).toBe(true)
    expect(isUnwarned(week, [week])).toBe(false)
    expect(isUnwarned(day, [week])).toBe(true)
    expect(isUnwarned(day, [week, day])).toBe(false)
    expect(isUnwarned({ ...day, lotId: 'b' }, [week, day])).toBe(true)
  })

  it('of the last day is not followed by one of the week when the clock goes back', () => {
    expect(isUnwarned(week, [day])).toBe(false)
  })

  it('does not wait for the next mail when that is too late, unless something was said', () => {
    expect(isUrgent([week], [], week.expiresMs)).toBe(false)
    expect(isUrgent([week], [], week.expiresMs + 1)).toBe(true)
    expect(isUrgent([day], [week], week.expiresMs + 1)).toBe(false)
  })

  it('is remembered until a day after the end', () => {
    expect(rememberWarned([week], [week, day], nowMs)).toEqual([week, day])
    expect(rememberWarned([week], [], week.expiresMs + dayMs - 1)).toEqual([week])
    expect(rememberWarned([week], [], week.expiresMs + dayMs)).toEqual([])
  })
})
