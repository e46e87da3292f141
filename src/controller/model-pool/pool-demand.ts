import { POOL_WAKE_MS } from '../limits.ts'

/** What waits for a pool, as the last plan saw it. */
export type PoolDemand = {
  /** Jobs that would start now if the pool had a free slot for each. */
  readonly waitingJobs: number
  /** Mean time that one of its jobs takes; 0 while unknown. */
  readonly expectedSeconds: number
  /** uids of its pods that are to go, for a job that needs their Node. */
  readonly yielding?: readonly string[] | undefined
  /** Pods there may be room for beside what such jobs are to have; absent: nothing is. */
  readonly room?: number | undefined
  /** Whether pods may wait for room; absent: they may. */
  readonly mayWait?: boolean | undefined
}

export const noDemand: PoolDemand = { waitingJobs: 0, expectedSeconds: 0 }

/** When a pool is to be looked at because of what the plan says now; undefined: it need not be. */
export function wakeAfterMs(before: PoolDemand, now: PoolDemand): number | undefined {
  const isFirst = before.waitingJobs === 0 && now.waitingJobs > 0
  // Neither the first job that waits nor one that needs a Node is to wait for a timer.
  if (isFirst || String(now.yielding) !== String(before.yielding)) return 0
  const mustGiveBack = now.mayWait === false && before.mayWait !== false
  const hasOtherRoom = now.waitingJobs > 0 && now.room !== before.room
  const hasMore = now.waitingJobs > before.waitingJobs
  return mustGiveBack || hasOtherRoom || hasMore ? POOL_WAKE_MS : undefined
}

export function hasYielding({ yielding = [] }: Pick<PoolDemand, 'yielding'>): boolean {
  return yielding.length > 0
}
