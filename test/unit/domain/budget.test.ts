import { describe, expect, it } from 'vitest'
import {
  budgetExpiryMs,
  budgetIssueId,
  budgetUse,
  lapsesWithItsMonth,
  reachedAlerts,
} from '../../../src/shared/domain/budget.ts'
import {
  monthEndMs,
  monthOf,
  monthStartMs,
  nextMonth,
  previousMonth,
} from '../../../src/shared/domain/month.ts'

describe('a month of UTC', () => {
  it.each([
    ['2026-11', ['2026-10', '2026-12'], 30],
    ['2026-12', ['2026-11', '2027-01'], 31],
    ['2027-01', ['2026-12', '2027-02'], 31],
    ['2027-02', ['2027-01', '2027-03'], 28],
    ['2028-02', ['2028-01', '2028-03'], 29],
    ['2100-02', ['2100-01', '2100-03'], 28],
    ['2000-02', ['2000-01', '2000-03'], 29],
  ])('%s lies between its neighbours and has its days', (month, neighbours, days) => {
    expect([previousMonth(month), nextMonth(month)]).toEqual(neighbours)
    const after = nextMonth(month)
    expect(monthEndMs(month) - monthStartMs(month)).toBe(days * 86_400_000)
    expect(monthEndMs(month)).toBe(monthStartMs(after))
    expect(monthOf(monthStartMs(month))).toBe(month)
    expect(monthOf(monthEndMs(month) - 1)).toBe(month)
    expect(monthOf(monthEndMs(month))).toBe(after)
  })

  it('is refused when it is none', () => {
    expect(() => monthStartMs('2026-13')).toThrow('is a month')
  })
})

describe('a month’s budget', () => {
  it('lapses at the end of its month, or of the one after it', () => {
    expect(budgetExpiryMs('2027-12', 'None')).toBe(Date.parse('2028-01-01T00:00:00Z'))
    expect(budgetExpiryMs('2027-12', 'NextMonth')).toBe(Date.parse('2028-02-01T00:00:00Z'))
    expect(budgetExpiryMs('2028-01', 'NextMonth')).toBe(Date.parse('2028-03-01T00:00:00Z'))
  })

  it('is known by its lot', () => {
    const id = budgetIssueId('vision', '2026-11')
    expect(id).toBe('budget:vision:2026-11')
    expect(lapsesWithItsMonth({ id, expiresMs: budgetExpiryMs('2026-11', 'None') })).toBe(true)
    expect(lapsesWithItsMonth({ id, expiresMs: budgetExpiryMs('2026-11', 'NextMonth') })).toBe(
      false,
    )
    expect(
      lapsesWithItsMonth({ id: 'rest:2026-11', expiresMs: budgetExpiryMs('2026-11', 'None') }),
    ).toBe(false)
    expect(lapsesWithItsMonth({ id, expiresMs: null })).toBe(false)
  })

  it.each([
    { budget: 100, free: 100, used: 0, percent: 0 },
    { budget: 100, free: 21, used: 79, percent: 79 },
    { budget: 100, free: 20, used: 80, percent: 80 },
    { budget: 1000, free: 201, used: 799, percent: 79 },
    { budget: 1000, free: 1, used: 999, percent: 99 },
    { budget: 100, free: 0, used: 100, percent: 100 },
    // Cannot be, but a share below nothing would be said nowhere.
    { budget: 100, free: 101, used: 0, percent: 0 },
    { budget: 999_999_999_999, free: 1, used: 999_999_999_998, percent: 99 },
  ])('is used: $budget with $free free', ({ budget, free, used, percent }) => {
    expect(budgetUse(budget, free)).toEqual({ usedMicroCredits: used, percent })
  })

  it('is not used when all of it was taken back', () => {
    expect(budgetUse(0, 0)).toEqual({ usedMicroCredits: 0, percent: 0 })
  })

  it.each([
    { name: 'at 79 %', free: 2001, most: 2001, taken: 9000, alerts: [] },
    { name: 'at 80 % on one account', free: 2000, most: 2000, taken: 8000, alerts: [80] },
    { name: 'with 1 % left on one account', free: 100, most: 100, taken: 9900, alerts: [80] },
    { name: 'with less than 1 % left', free: 99, most: 99, taken: 9901, alerts: [80, 100] },
    { name: 'with dust on 20 accounts', free: 1200, most: 69, taken: 8800, alerts: [80, 100] },
    { name: 'with dust alone, below 80 %', free: 2001, most: 60, taken: 7999, alerts: [] },
    { name: 'where half of it lapsed', free: 0, most: 0, taken: 5000, alerts: [] },
    { name: 'where the rest lapsed', free: 0, most: 0, taken: 9000, alerts: [80] },
    { name: 'with jobs of other lots', free: 5000, most: 5000, taken: 99_000, alerts: [] },
  ])('has reached $alerts $name', ({ free, most, taken, alerts }) => {
    expect(reachedAlerts(10_000, { lotFree: free, lotFreeMost: most, takenMax: taken })).toEqual(
      alerts,
    )
    expect(reachedAlerts(0, { lotFree: 0, lotFreeMost: 0, takenMax: taken })).toEqual([])
  })
})
