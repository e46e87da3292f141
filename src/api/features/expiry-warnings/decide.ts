import type { Lot } from '../../../shared/domain/account.ts'
import { lapsesWithItsMonth } from '../../../shared/domain/budget.ts'

const dayMs = 86_400_000

/** How near the end of a lot is when its owner is told: a week, and again a day. */
export type WarningStage = 'Week' | 'Day'

export type Warned = {
  readonly lotId: string
  readonly stage: WarningStage
  readonly expiresMs: number
}

export type Expiring = Warned & { readonly microCredits: number }

/** One mail names so many, soonest first; the rest is for the next day's. */
const listedMax = 30

/**
 * Free credits that lapse within a week. A month's budget without carry-over always lapses, so it
 * is worth a word on its last day only.
 */
export function expiringLots(lots: readonly Lot[], nowMs: number): readonly Expiring[] {
  const found = lots.flatMap(({ id, microCredits, expiresMs }): readonly Expiring[] => {
    if (expiresMs === null || expiresMs <= nowMs || microCredits === 0) return []
    const leftMs = expiresMs - nowMs
    const expiring = { lotId: id, microCredits, expiresMs }
    if (leftMs <= dayMs) return [{ ...expiring, stage: 'Day' }]
    const isTold = leftMs <= 7 * dayMs && !lapsesWithItsMonth({ id, expiresMs })
    return isTold ? [{ ...expiring, stage: 'Week' }] : []
  })
  return found.toSorted((a, b) => a.expiresMs - b.expiresMs).slice(0, listedMax)
}

/** Whether a lot is news; who was told on its last day needs no word about its last week. */
export function isUnwarned({ lotId, stage }: Warned, warned: readonly Warned[]): boolean {
  return !warned.some((one) => one.lotId === lotId && (one.stage === stage || one.stage === 'Day'))
}

/** What was told, without lots that ended long ago: a clock that goes back finds them still. */
export function rememberWarned(
  warned: readonly Warned[],
  told: readonly Warned[],
  nowMs: number,
): readonly Warned[] {
  const kept = warned.filter(({ expiresMs }) => expiresMs > nowMs - dayMs)
  const added = told.filter((one) => isUnwarned(one, kept))
  return [...kept, ...added.map(({ lotId, stage, expiresMs }) => ({ lotId, stage, expiresMs }))]
}

/** Whether something lapses before the next mail of which nothing was said. */
export function isUrgent(
  lots: readonly Warned[],
  warned: readonly Warned[],
  nextMailMs: number,
): boolean {
  const told = new Set(warned.map(({ lotId }) => lotId))
  return lots.some(({ lotId, expiresMs }) => expiresMs < nextMailMs && !told.has(lotId))
}

/** The day of UTC. */
export function dayOf(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

export function dayEndMs(day: string): number {
  return Date.parse(day) + dayMs
}
