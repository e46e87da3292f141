import type { Place, RunningJob } from '../../shared/domain/admission/input.ts'
import type { Candidate } from '../../shared/domain/admission/queue.ts'
import {
  runSecondsOf,
  type RunTimes,
  startSecondsOf,
} from '../../shared/domain/admission/run-times.ts'
import type { ForecastOptions } from '../../shared/domain/admission/forecast.ts'
import { OVERDUE_SHARE } from '../limits.ts'

export type DurationSources = {
  readonly times: RunTimes
  /** Megapixel-steps of the job with this uid. */
  readonly workOf: (uid: string) => number | undefined
  readonly nowMs: number
}

export type Durations = Pick<ForecastOptions, 'runMs' | 'endMs'> & {
  /** How long after it got its place the job will run; by the place that the forecast gave it. */
  readonly startDelayMs: (job: Candidate) => number
}

/** Measured times as a forecast wants them. What was never measured never ends. */
export function openDurations({ times, workOf, nowMs }: DurationSources): Durations {
  const kinds = new Map<string, Place['kind']>()
  const secondsOf = (uid: string, model: string, kind: Place['kind']): number => {
    const work = workOf(uid)
    // Nobody knows how long a job waits for somebody else's quota.
    if (work === undefined || kind === 'Quota') return Infinity
    return runSecondsOf(times, { model, kind, work }) ?? Infinity
  }
  const delayMs = (model: string, kind: Place['kind']): number =>
    kind === 'Quota' ? 0 : 1000 * (startSecondsOf(times, { model, kind }) ?? 0)
  return {
    runMs: (job, place) => {
      const kind = place?.kind ?? likelyKind(job)
      kinds.set(job.uid, kind)
      return delayMs(job.model, kind) + 1000 * secondsOf(job.uid, job.model, kind)
    },
    endMs: (running) => {
      const { model, place, startMs } = running
      const runMs = 1000 * secondsOf(jobUidOf(running), model, place.kind)
      const ranMs = Math.max(0, nowMs - startMs)
      return nowMs + Math.max(runMs - ranMs, ranMs * OVERDUE_SHARE)
    },
    startDelayMs: ({ uid, model, ...job }) => delayMs(model, kinds.get(uid) ?? likelyKind(job)),
  }
}

/** Where it would go that was given no place: a slot is what `Auto` waits for first. */
function likelyKind({ pools }: Pick<Candidate, 'pools'>): Place['kind'] {
  return pools.length > 0 ? 'Slot' : 'Node'
}

/** What runs is named after its job and the number of the attempt. */
function jobUidOf({ uid }: RunningJob): string {
  return uid.split('/', 1)[0] ?? uid
}
