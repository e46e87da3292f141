import { whyAllWaiting } from './explain.ts'
import type { AdmissionInput } from './input.ts'
import { type ComingSlot, type Durations, VirtualCluster } from './virtual-cluster.ts'

export type ForecastOptions = Durations & {
  /** The waiting jobs to tell about. */
  readonly uids: readonly string[]
  /** Pods of pools that are starting; none are made up. */
  readonly comingSlots?: readonly ComingSlot[] | undefined
  /** Later than this after now is `Unknown`. */
  readonly horizonMs: number
  /** Plans to make, at most. */
  readonly stepsMax: number
}

export type Estimate = {
  readonly startMs: number
  readonly endMs: number
  /** `Extrapolated`: the steps ran out, so the pace until then was drawn on to its position. */
  readonly basis: 'Planned' | 'Extrapolated'
}

export type Forecast = ReadonlyMap<string, Estimate | 'Unknown'>

/**
 * When waiting jobs will start and end if every run takes as long as expected and nobody else
 * comes: admission itself, run ahead in virtual time. `Unknown` when nothing within the horizon
 * lets the job start. Costs at most `stepsMax` plans, one for each moment at which something ends,
 * plus what `whyWaiting` costs for each job that needs extrapolation. The queue is not touched.
 */
export function forecast(input: AdmissionInput, options: ForecastOptions): Forecast {
  const { uids, stepsMax, comingSlots } = options
  const virtual = new VirtualCluster(input, options, comingSlots)
  const endOfTimeMs = input.nowMs + options.horizonMs
  const asked = new Set(uids)
  const found = new Map<string, Estimate>()
  let steps = 0
  for (; steps < stepsMax && found.size < asked.size && virtual.nowMs <= endOfTimeMs; steps += 1) {
    for (const { uid, startMs, endMs } of virtual.step()) {
      if (asked.has(uid)) found.set(uid, { startMs, endMs, basis: 'Planned' })
    }
    if (!virtual.advance()) break
  }
  const missing = uids.filter((uid) => !found.has(uid))
  const guesses =
    steps < stepsMax ? found : extrapolate(input, { ...options, uids: missing }, virtual)
  return new Map(uids.map((uid) => [uid, found.get(uid) ?? guesses.get(uid) ?? 'Unknown']))
}

/** As many jobs in a given time as started until the steps ran out. */
function extrapolate(
  input: AdmissionInput,
  { uids, runMs, horizonMs }: ForecastOptions,
  { nowMs, startedCount }: VirtualCluster,
): ReadonlyMap<string, Estimate> {
  const paceMs = (nowMs - input.nowMs) / startedCount
  const explained = [...whyAllWaiting(input, uids)]
  const guesses = explained.flatMap(([uid, { aheadEstimate, reason }]) => {
    const job = input.queue.get(uid)
    const startMs = Math.max(nowMs, Math.round(input.nowMs + paceMs * aheadEstimate))
    const isUnknown = job?.execution === 'Quota' || reason === 'NoMatchingGpu'
    if (job === undefined || isUnknown || !(startMs <= input.nowMs + horizonMs)) return []
    return [[uid, { startMs, endMs: startMs + runMs(job), basis: 'Extrapolated' }] as const]
  })
  return new Map<string, Estimate>(guesses)
}
