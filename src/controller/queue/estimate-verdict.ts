import { ESTIMATE_TOLERANCE_MS, ESTIMATE_TOLERANCE_SHARE } from '../limits.ts'

/** An estimate that somebody was given, and when. */
export type GivenEstimate = { readonly givenMs: number; readonly startMs: number }

export type EstimateVerdict = {
  /** `early`: it started before the tolerance around the estimate, `late`: after it. */
  readonly verdict: 'right' | 'early' | 'late'
  /** The real wait from then on over the one that was told; absent when that was under 1 s. */
  readonly ratio?: number
}

/** How good an estimate was, once the job has started. */
export function judgeEstimate(
  { givenMs, startMs }: GivenEstimate,
  startedMs: number,
): EstimateVerdict {
  const toldMs = Math.max(0, startMs - givenMs)
  const waitedMs = Math.max(0, startedMs - givenMs)
  const toleranceMs = Math.max(ESTIMATE_TOLERANCE_MS, toldMs * ESTIMATE_TOLERANCE_SHARE)
  const errorMs = startedMs - startMs
  const verdict = Math.abs(errorMs) <= toleranceMs ? 'right' : errorMs < 0 ? 'early' : 'late'
  return toldMs < 1000 ? { verdict } : { verdict, ratio: waitedMs / toldMs }
}
