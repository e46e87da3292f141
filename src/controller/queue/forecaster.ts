import type { Clock } from '../../shared/clock.ts'
import {
  type Estimate,
  forecast,
  type ForecastOptions,
} from '../../shared/domain/admission/forecast.ts'
import type { AdmissionInput } from '../../shared/domain/admission/input.ts'
import type { RunTimes } from '../../shared/domain/admission/run-times.ts'
import {
  FORECAST_COST_MS,
  FORECAST_HORIZON_MS,
  FORECAST_STEPS_FIRST,
  FORECAST_STEPS_MAX,
  FORECAST_STEPS_MIN,
} from '../limits.ts'
import { clamp } from '../generation-job/times.ts'
import { type DurationSources, openDurations } from './durations.ts'

/** When a job is expected to run, and to have ended if that is known. */
export type Expectation = {
  readonly startMs: number
  readonly endMs: number | null
  readonly basis: Estimate['basis']
}

export type ForecastWish = Pick<ForecastOptions, 'uids' | 'comingSlots'> &
  Pick<DurationSources, 'workOf'>

/** Looks as far ahead, plan by plan, as there is time for; the pace until then is drawn on. */
export class Forecaster {
  readonly #clock: Clock
  readonly #times: () => RunTimes
  #steps = FORECAST_STEPS_FIRST

  constructor(clock: Clock, times: () => RunTimes) {
    this.#clock = clock
    this.#times = times
  }

  /** A job about which nothing is known is absent. */
  expect(input: AdmissionInput, wish: ForecastWish): ReadonlyMap<string, Expectation> {
    const { uids, comingSlots, workOf } = wish
    const startMs = this.#clock.nowMs()
    const durations = openDurations({ times: this.#times(), workOf, nowMs: input.nowMs })
    const found = forecast(input, {
      ...durations,
      uids,
      comingSlots,
      horizonMs: FORECAST_HORIZON_MS,
      stepsMax: this.#steps,
    })
    this.#adapt(this.#clock.nowMs() - startMs)
    const expected = [...found].flatMap(([uid, estimate]) => {
      const job = input.queue.get(uid)
      if (estimate === 'Unknown' || job === undefined) return []
      const { startMs: placedMs, endMs, basis } = estimate
      const begunMs = placedMs + durations.startDelayMs(job)
      return [[uid, { startMs: begunMs, endMs: finite(endMs), basis }] as const]
    })
    return new Map<string, Expectation>(expected)
  }

  /** Twice as far when it was cheap, less far when it was dear. */
  #adapt(costMs: number): void {
    const factor = clamp(FORECAST_COST_MS / Math.max(costMs, 1), [1 / 8, 2])
    const steps = Math.round(this.#steps * factor)
    this.#steps = clamp(steps, [FORECAST_STEPS_MIN, FORECAST_STEPS_MAX])
  }
}

function finite(ms: number): number | null {
  return Number.isFinite(ms) ? ms : null
}
