import { type AdmissionInput, defaultDepartment } from './input.ts'
import { ownerKey } from './owner.ts'
import type { Candidate, Line } from './queue.ts'
import { openRooms, reasonOf, type Rooms, type WaitReason } from './reasons.ts'
import { compareStandings, type Standing, type Tally } from './tally.ts'

export type Explanation = {
  readonly reason: WaitReason
  /** From 1, among the waiting jobs of its owner. */
  readonly position: number
  /** How many waiting jobs, of anybody, probably start before it. */
  readonly aheadEstimate: number
}

/**
 * Why a job waits and where it stands; undefined when it does not wait. The input shows the cluster
 * after the last plan: what that plan started is running. Costs what the running jobs, the Nodes
 * and the owners cost, and a search in each shape of its owner.
 */
export function whyWaiting(input: AdmissionInput, uid: string): Explanation | undefined {
  return explainWith(input, openRooms(input), uid)
}

/** For many jobs of one input: the rooms are opened once. */
export function whyAllWaiting(
  input: AdmissionInput,
  uids: readonly string[],
): ReadonlyMap<string, Explanation> {
  const rooms = openRooms(input)
  return new Map(
    uids.flatMap((uid) => {
      const explanation = explainWith(input, rooms, uid)
      return explanation === undefined ? [] : [[uid, explanation] as const]
    }),
  )
}

function explainWith(input: AdmissionInput, rooms: Rooms, uid: string): Explanation | undefined {
  const job = input.queue.get(uid)
  const position = input.queue.positionOf(uid)
  if (job === undefined || position === undefined) return undefined
  const aheadEstimate = estimateAhead(input, rooms.tally, { job, position })
  return { reason: reasonOf(job, rooms), position, aheadEstimate }
}

/**
 * Assumes jobs of one size: while one owner starts k jobs, each other user of the department starts
 * k as well, and a department of twice the weight twice as many; one with the smaller share now
 * starts one more. Nobody starts more than it has waiting.
 */
function estimateAhead(
  input: AdmissionInput,
  tally: Tally,
  { job, position }: { readonly job: Candidate; readonly position: number },
): number {
  const own = ownerKey(job)
  const byDepartment = Map.groupBy(input.queue.lines(), ({ department }) => department)
  const colleagues = byDepartment.get(job.department) ?? []
  const inside = colleagues.reduce((sum, line) => {
    if (line.key === own) return sum + position - 1
    const goesFirst = isBefore(tally.ownerStanding(line), tally.ownerStanding(job))
    return sum + Math.min(line.size, position - 1 + (goesFirst ? 1 : 0))
  }, 0)
  const ownWeight = weightOf(input, job.department)
  const standing = tally.departmentStanding(job.department)
  let ahead = inside
  for (const [department, lines] of byDepartment) {
    if (department === job.department) continue
    const goesFirst = isBefore(tally.departmentStanding(department), standing)
    const meanwhile = Math.floor((inside * weightOf(input, department)) / ownWeight)
    ahead += Math.min(sizeOf(lines), meanwhile + (goesFirst ? 1 : 0))
  }
  return ahead
}

function isBefore(left: Standing, right: Standing): boolean {
  return compareStandings(left, right) < 0
}

function weightOf({ departments }: AdmissionInput, name: string): number {
  return (departments.get(name) ?? defaultDepartment).weight
}

function sizeOf(lines: readonly Line[]): number {
  return lines.reduce((sum, { size }) => sum + size, 0)
}
