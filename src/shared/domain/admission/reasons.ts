import type { AdmissionInput } from './input.ts'
import type { NodeRoom } from './node-room.ts'
import { openNodeRoom } from './open-node-room.ts'
import type { Candidate } from './queue.ts'
import { SlotRoom } from './slot-room.ts'
import { openTally, type Tally } from './tally.ts'

/** Why a job that admission knows has not started. */
export type WaitReason =
  /** Its owner runs as many jobs as it may. */
  | 'UserLimit'
  /** Its department runs as many jobs as it may. */
  | 'DepartmentLimit'
  /** Its turn has not come, or nothing that fits is free. */
  | 'WaitingForGpu'
  /** No Node could ever hold it and no pool serves it. */
  | 'NoMatchingGpu'
  /** A slot is loading its model. */
  | 'ModelLoading'
  /** A pool that serves it is getting more pods. */
  | 'PoolScalingUp'

/** What is left to give away, and who runs how much. */
export type Rooms = { readonly nodes: NodeRoom; readonly slots: SlotRoom; readonly tally: Tally }

export function openRooms(input: AdmissionInput): Rooms {
  const nodes = openNodeRoom(input)
  const slots = new SlotRoom(input.pools)
  slots.close(nodes.leaving)
  return { nodes, slots, tally: openTally(input) }
}

/** Of a job that does not start with what is left. */
export function reasonOf(job: Candidate, rooms: Rooms): WaitReason {
  if (isHopeless(job, rooms)) return 'NoMatchingGpu'
  const limit = rooms.tally.limitOf(job)
  if (limit !== undefined) return limit
  const pools = rooms.slots.poolsOf(job)
  if (pools.some(({ loading }) => loading.includes(job.model))) return 'ModelLoading'
  return pools.some(({ growing }) => growing) ? 'PoolScalingUp' : 'WaitingForGpu'
}

/** Nothing there is could ever run it, so it must not keep others waiting. */
export function isHopeless(job: Candidate, { nodes, slots }: Rooms): boolean {
  if (job.execution === 'Quota') return false
  if (slots.poolsOf(job).length > 0) return false
  return job.execution === 'Pooled' || !nodes.canEverHold(job.request)
}

/** More slots will come for it: by a pod that starts, or one that is loading its model. */
export function isPoolComing(job: Candidate, { slots }: Rooms): boolean {
  return slots.poolsOf(job).some((pool) => pool.growable || pool.loading.includes(job.model))
}
