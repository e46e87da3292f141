/** How a run was measured: in its own pod or in a slot, which differ by what starting costs. */
export type RunClass = { readonly model: string; readonly kind: 'Node' | 'Slot' }

export type MeasuredRun = RunClass & {
  /** Megapixel-steps: millions of pixels × model calls, over all pictures. */
  readonly work: number
  readonly seconds: number
}

/** How long a pod took from the decision to make it until its container ran. */
export type MeasuredStart = RunClass & { readonly seconds: number }

/** Sums over the runs of one class, in which a newer run weighs more than an older one. */
type Sums = {
  readonly weight: number
  readonly work: number
  readonly seconds: number
  readonly workSquared: number
  readonly workSeconds: number
}

/** What was measured so far. Classes stand in the order of their newest measurement. */
export type RunTimes = {
  readonly runs: ReadonlyMap<string, Sums>
  readonly starts: ReadonlyMap<string, number>
}

export const noRunTimes: RunTimes = { runs: new Map(), starts: new Map() }

/** What a newer measurement takes from the weight of all older ones. */
const NEWEST_SHARE = 0.1
/** Beyond it the class is forgotten of which nothing was measured for the longest time. */
const CLASSES_MAX = 1000
/** Sizes that differ by less than this share of their mean are one size. */
const SPREAD_MIN = 0.01

const nothing: Sums = { weight: 0, work: 0, seconds: 0, workSquared: 0, workSeconds: 0 }

export function addRun(times: RunTimes, run: MeasuredRun): RunTimes {
  const { work, seconds } = run
  const before = times.runs.get(keyOf(run)) ?? nothing
  const kept = 1 - NEWEST_SHARE
  const sums: Sums = {
    weight: before.weight * kept + 1,
    work: before.work * kept + work,
    seconds: before.seconds * kept + seconds,
    workSquared: before.workSquared * kept + work * work,
    workSeconds: before.workSeconds * kept + work * seconds,
  }
  return { ...times, runs: withNewest(times.runs, keyOf(run), sums) }
}

export function addStart(times: RunTimes, start: MeasuredStart): RunTimes {
  const before = times.starts.get(keyOf(start)) ?? start.seconds
  const mean = before + (start.seconds - before) * NEWEST_SHARE
  return { ...times, starts: withNewest(times.starts, keyOf(start), mean) }
}

/**
 * How long a run of so much work takes: a fixed part and seconds per megapixel-step, by least
 * squares over the measured runs of its class with exponential weights. Neither part is ever below
 * 0, and of runs of one size only everything counts as per megapixel-step. Undefined while nothing
 * was measured: a guess from another model would be an invention.
 */
export function runSecondsOf(
  times: RunTimes,
  { work, ...ran }: RunClass & Pick<MeasuredRun, 'work'>,
): number | undefined {
  const sums = times.runs.get(keyOf(ran))
  if (sums === undefined) return undefined
  const meanWork = sums.work / sums.weight
  const meanSeconds = sums.seconds / sums.weight
  const slope = slopeOf(sums, { meanWork, meanSeconds })
  return Math.max(0, meanSeconds + slope * (work - meanWork))
}

/** Undefined while no start of this class was measured. */
export function startSecondsOf(times: RunTimes, started: RunClass): number | undefined {
  return times.starts.get(keyOf(started))
}

type Means = { readonly meanWork: number; readonly meanSeconds: number }

/** Seconds per megapixel-step. */
function slopeOf(sums: Sums, { meanWork, meanSeconds }: Means): number {
  if (meanWork <= 0) return 0
  const steepest = meanSeconds / meanWork
  const variance = sums.workSquared / sums.weight - meanWork * meanWork
  if (variance <= (SPREAD_MIN * meanWork) ** 2) return steepest
  const covariance = sums.workSeconds / sums.weight - meanWork * meanSeconds
  return Math.min(steepest, Math.max(0, covariance / variance))
}

function withNewest<Value>(
  classes: ReadonlyMap<string, Value>,
  key: string,
  value: Value,
): ReadonlyMap<string, Value> {
  const next = new Map(classes)
  next.delete(key)
  next.set(key, value)
  const [oldest] = next.keys()
  if (next.size > CLASSES_MAX && oldest !== undefined) next.delete(oldest)
  return next
}

function keyOf({ model, kind }: RunClass): string {
  return `${kind}/${model}`
}
