import { assert } from '../assert.ts'

/** A calendar month of UTC, such as `2026-11`: as text in order of time. */
export type Month = string

export function monthOf(timeMs: number): Month {
  return new Date(timeMs).toISOString().slice(0, 7)
}

export function nextMonth(month: Month): Month {
  return shifted(month, 1)
}

export function previousMonth(month: Month): Month {
  return shifted(month, -1)
}

/** The first moment of it. */
export function monthStartMs(month: Month): number {
  const startMs = Date.parse(`${month}-01T00:00:00Z`)
  assert(!Number.isNaN(startMs), `${month} is a month`)
  return startMs
}

/** The first moment after it. */
export function monthEndMs(month: Month): number {
  return monthStartMs(nextMonth(month))
}

function shifted(month: Month, months: number): Month {
  const start = new Date(monthStartMs(month))
  return monthOf(Date.UTC(start.getUTCFullYear(), start.getUTCMonth() + months))
}
