import type { Clock } from '../../shared/clock.ts'

/** The machine's wall clock. Only main.ts takes it; everything else receives a Clock. */
export const systemClock: Clock = { nowMs: () => Date.now() }
