import type {
  AdmissionInput,
  DepartmentView,
  RunningJob,
} from '../../shared/domain/admission/input.ts'
import type { KeptRoom } from '../../shared/domain/admission/node-room.ts'
import { ownerKey } from '../../shared/domain/admission/owner.ts'
import type { Line, Shape } from '../../shared/domain/admission/queue.ts'
import { fitsInto, type Resources, timesInto } from '../../shared/domain/admission/resources.ts'
import { jobsLeft } from '../../shared/domain/admission/tally.ts'
import type { PoolBoardView } from '../model-pool/pool-board.ts'
import { noDemand, type PoolDemand } from '../model-pool/pool-demand.ts'

export type DemandInputs = Pick<
  AdmissionInput,
  'queue' | 'running' | 'departments' | 'occupants'
> & {
  readonly pools: readonly Pick<PoolBoardView, 'name' | 'slotsToCome' | 'podRequest'>[]
  readonly kept: KeptRoom | undefined
  /** Jobs that start by the last plan. */
  readonly starting: ReadonlySet<string>
  readonly expectedSeconds: (model: string) => number
}

/** What each pool is to know of the plan; one for which nothing waits may be left out. */
export function demandOf(inputs: DemandInputs): ReadonlyMap<string, PoolDemand> {
  const waiting = waitingFor(inputs)
  const { kept, occupants, pools } = inputs
  if (kept === undefined) return waiting
  const leaving = new Set(kept.leaving)
  const yielding = Map.groupBy(
    occupants.filter(({ uid }) => leaving.has(uid)),
    ({ pool = '' }) => pool,
  )
  return new Map(
    pools.map(({ name, podRequest }) => {
      const demand = waiting.get(name) ?? noDemand
      const uids = yielding.get(name)?.map(({ uid }) => uid)
      const room = roomFor(podRequest, kept)
      return [name, { ...demand, yielding: uids, room, mayWait: !kept.isWaitedFor }]
    }),
  )
}

/** None where the scheduler might put such a pod into the room of a job. */
function roomFor(request: Resources | undefined, { contested, elsewhere }: KeptRoom): number {
  if (request === undefined) return Infinity
  const isContested = contested.some(({ free, left }) => {
    return fitsInto(request, free) && (left === undefined || !fitsInto(request, left))
  })
  if (isContested) return 0
  return elsewhere.reduce((sum, free) => sum + timesInto(request, free), 0)
}

/**
 * How many waiting jobs would start now if the pools had a slot for each: no more than the caps of
 * their owners let. A job that several pools can serve counts in one that has slots to come for it,
 * and in the first by name where none has.
 */
function waitingFor(inputs: DemandInputs): ReadonlyMap<string, PoolDemand> {
  const counted = new Map<string, { jobs: number; seconds: number }>()
  const slotsLeft = new Map(inputs.pools.map(({ name, slotsToCome }) => [name, slotsToCome]))
  const running = countRunning(inputs.running)
  for (const line of inputs.queue.lines()) {
    let left = allowanceOf(line, running, inputs.departments)
    for (const shape of line.shapes) {
      const [first] = shape.jobs
      if (first === undefined || first.pools.length === 0) continue
      const jobs = Math.min(left, waitingIn(shape, inputs.starting))
      left -= jobs
      if (jobs === 0) continue
      const seconds = inputs.expectedSeconds(first.model)
      for (const [pool, part] of shareOut(jobs, first.pools, slotsLeft)) {
        const sum = counted.get(pool) ?? { jobs: 0, seconds: 0 }
        sum.jobs += part
        sum.seconds += part * seconds
        counted.set(pool, sum)
        slotsLeft.set(pool, (slotsLeft.get(pool) ?? 0) - part)
      }
      running.set(line.department, (running.get(line.department) ?? 0) + jobs)
    }
  }
  return new Map(
    [...counted].map(([pool, { jobs, seconds }]) => {
      return [pool, { waitingJobs: jobs, expectedSeconds: seconds / jobs }]
    }),
  )
}

/** Jobs by pool: each pool gets as many as it has slots to come, and the first those beyond. */
function shareOut(
  jobs: number,
  pools: readonly string[],
  slotsLeft: ReadonlyMap<string, number>,
): [pool: string, jobs: number][] {
  const sorted = pools.toSorted()
  const parts = new Map<string, number>()
  let left = jobs
  for (const pool of sorted) {
    const part = Math.min(left, Math.max(0, slotsLeft.get(pool) ?? 0))
    left -= part
    if (part > 0) parts.set(pool, part)
  }
  const [rest = sorted[0]] = parts.keys()
  if (left > 0 && rest !== undefined) parts.set(rest, (parts.get(rest) ?? 0) + left)
  return [...parts]
}

/** A plan starts the jobs of a shape in order. */
function waitingIn({ jobs }: Shape, starting: ReadonlySet<string>): number {
  const first = jobs.findIndex(({ uid }) => !starting.has(uid))
  return first < 0 ? 0 : jobs.length - first
}

function countRunning(running: readonly RunningJob[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const job of running) {
    for (const key of [job.department, ownerKey(job)]) {
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
  }
  return counts
}

function allowanceOf(
  line: Line,
  running: ReadonlyMap<string, number>,
  departments: ReadonlyMap<string, DepartmentView>,
): number {
  const left = jobsLeft(line, {
    caps: departments.get(line.department) ?? {},
    jobsOf: (key) => running.get(key) ?? 0,
  })
  return Math.max(0, Math.min(left.ofOwner(line.shapes[0]?.jobs[0] ?? {}), left.ofDepartment))
}
