import type { AdmissionNode } from './nodes.ts'
import type { Owned } from './owner.ts'
import type { JobQueue } from './queue.ts'
import type { Resources } from './resources.ts'
import type { Use } from './use.ts'

/** A job that has, or is about to have, a place. */
export type RunningJob = Owned & {
  /** Of the job or of the attempt. */
  readonly uid: string
  /** What it uses: the GPUs of its own pod, or its part of those of the pool pod. */
  readonly gpus: number
  readonly model: string
  readonly startMs: number
  readonly place:
    | {
        readonly kind: 'Node'
        /** Absent until the scheduler has bound the pod. */
        readonly nodeName?: string | undefined
        /** Where it is to be bound if that is possible. */
        readonly plannedName?: string | undefined
        readonly request: Resources
      }
    | { readonly kind: 'Slot'; readonly pool: string; readonly pod: string }
    /** It waits for somebody else's quota and uses nothing: it only counts under the caps. */
    | { readonly kind: 'Quota' }
}

/** A pod that takes room on a Node and is no job's own: above all the pods of pools. */
export type Occupant = {
  readonly uid: string
  readonly nodeName?: string | undefined
  readonly request: Resources
  readonly pool?: string | undefined
  /** It takes no more jobs, and ends with those that it has. */
  readonly going?: boolean | undefined
  /** As those of its free slots. */
  readonly lacks?: FreeSlot['lacks']
}

/** A slot that could take a job now. */
export type FreeSlot = {
  readonly pod: string
  /** The model in its memory; null while there is none. */
  readonly model: string | null
  /** Of the models and LoRAs of its pool those that its pod was made without. */
  readonly lacks?: readonly string[] | undefined
}

export type PoolView = {
  readonly name: string
  /** GPUs of one of its pods over slots of one pod; 0 on processors. */
  readonly gpusPerSlot: number
  readonly slots: readonly FreeSlot[]
  /** Models that slots are loading at the moment. */
  readonly loading: readonly string[]
  /** It may get more pods, or has some that are not ready yet. */
  readonly growable: boolean
  /** It has pods on their way to Nodes that have room for them. */
  readonly growing: boolean
  /** It has pods, or may get some: jobs that it has the models for will get a slot. */
  readonly serving: boolean
  /** How many of its pods may go for a job that needs their Node. */
  readonly surplus: number
}

/** The scheduling side of a department; an absent cap does not bind. */
export type DepartmentView = {
  readonly weight: number
  readonly runningJobs?: number | undefined
  /** Binds users, not the department's own jobs. */
  readonly runningJobsPerUser?: number | undefined
}

/** Since when a job has been waiting for what; kept from one plan to the next. */
export type Turn = {
  /** Since when it is the first of its owner and within the caps. */
  readonly firstMs: number
  /** Since when jobs whose turn is later take places that it could have. */
  readonly passedMs?: number | undefined
}
export type Turns = ReadonlyMap<string, Turn>

export type AdmissionSettings = {
  /** How many shapes of an owner's jobs one decision looks at. */
  readonly lookAhead: number
  /** How long jobs with their model in memory may pass one that needs a switch. */
  readonly affinityWaitMs: number
  /** How long smaller jobs may pass one that waits for room on a Node. */
  readonly patienceMs: number
  /** How long a job in `Auto` waits for a pool to grow before it takes a Node. */
  readonly poolPatienceMs: number
  /** How long shares may keep the first job of an owner waiting. */
  readonly overdueMs: number
}

export const defaultAdmissionSettings: AdmissionSettings = {
  lookAhead: 32,
  affinityWaitMs: 30_000,
  patienceMs: 60_000,
  poolPatienceMs: 30_000,
  overdueMs: 30 * 60_000,
}

export type AdmissionInput = {
  readonly nowMs: number
  readonly nodes: readonly AdmissionNode[]
  readonly occupants: readonly Occupant[]
  readonly pools: readonly PoolView[]
  readonly running: readonly RunningJob[]
  readonly queue: JobQueue
  /** By name; one that is missing has the default weight and no caps. */
  readonly departments: ReadonlyMap<string, DepartmentView>
  readonly use: Use
  /** What the last plan returned; empty for the first. */
  readonly turns: Turns
  readonly settings: AdmissionSettings
}

export const defaultDepartment: DepartmentView = { weight: 100 }

/** A place that a job gets. */
export type Place =
  | { readonly kind: 'Node'; readonly nodeName: string }
  | {
      readonly kind: 'Slot'
      readonly pool: string
      readonly pod: string
      /** What the slot has in memory: the job's model, nothing (null), or one to be replaced. */
      readonly slotModel: string | null
    }
  /** It may wait for somebody else's quota. */
  | { readonly kind: 'Quota' }
