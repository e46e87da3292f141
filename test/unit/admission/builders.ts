import type { Admission } from '../../../src/shared/domain/admission/admit.ts'
import {
  type AdmissionInput,
  defaultAdmissionSettings,
  type FreeSlot,
  type PoolView,
  type RunningJob,
} from '../../../src/shared/domain/admission/input.ts'
import type { AdmissionNode } from '../../../src/shared/domain/admission/nodes.ts'
import { type Candidate, JobQueue } from '../../../src/shared/domain/admission/queue.ts'
import type { Resources } from '../../../src/shared/domain/admission/resources.ts'
import { emptyUse } from '../../../src/shared/domain/admission/use.ts'

/** A moment without meaning; tests count from it. */
export const nowMs = 1_800_000_000_000
export const hourMs = 3_600_000

export function aRequest(gpus: number): Resources {
  return { gpus, cpuMillis: 100, memoryBytes: 1 }
}

export function aNode(name: string, gpus: number, usable = true): AdmissionNode {
  return { name, usable, allocatable: { gpus, cpuMillis: 100_000, memoryBytes: 1000 } }
}

export type CandidateOver = Partial<Candidate> & { readonly gpus?: number }

/** A dedicated job for one GPU, created now. */
export function aCandidate(uid: string, over: CandidateOver = {}): Candidate {
  const { gpus = 1, ...rest } = over
  return {
    uid,
    createdMs: nowMs,
    priority: 50,
    department: 'vision',
    user: 'kim',
    request: aRequest(gpus),
    model: 'sd',
    pools: [],
    execution: 'Dedicated',
    ...rest,
  }
}

/** A job that runs in a slot of the pool `warm` and nowhere else. */
export function aPooled(uid: string, over: CandidateOver = {}): Candidate {
  return aCandidate(uid, { execution: 'Pooled', pools: ['warm'], ...over })
}

/** A job on one GPU of the Node `one` since an hour. */
export function aRunning(
  uid: string,
  over: Partial<RunningJob> & { readonly nodeName?: string } = {},
): RunningJob {
  const { nodeName = 'one', ...rest } = over
  const gpus = rest.gpus ?? 1
  return {
    uid,
    department: 'vision',
    user: 'kim',
    gpus,
    model: 'sd',
    startMs: nowMs,
    place: { kind: 'Node', nodeName, request: aRequest(gpus) },
    ...rest,
  }
}

export function inSlot(pool: string, pod = 'pod-1'): RunningJob['place'] {
  return { kind: 'Slot', pool, pod }
}

/** `aPool('warm', ['sd', null])`: one slot with a model, one without. */
export function aPool(
  name: string,
  slots: readonly (string | null | FreeSlot)[],
  over: Partial<PoolView> = {},
): PoolView {
  const free = slots.map((slot, index) =>
    typeof slot === 'object' && slot !== null ? slot : { pod: `${name}-${index}`, model: slot },
  )
  return {
    name,
    gpusPerSlot: 1,
    slots: free,
    loading: [],
    growable: false,
    growing: false,
    serving: true,
    surplus: 0,
    ...over,
  }
}

export function queueOf(jobs: readonly Candidate[]): JobQueue {
  const queue = new JobQueue()
  for (const job of jobs) queue.put(job)
  return queue
}

export type InputOver = Partial<Omit<AdmissionInput, 'queue' | 'settings'>> & {
  readonly jobs?: readonly Candidate[]
  readonly settings?: Partial<AdmissionInput['settings']>
}

/** One Node `one` with two GPUs and nothing else. */
export function anInput({ jobs = [], settings, ...over }: InputOver = {}): AdmissionInput {
  return {
    nowMs,
    nodes: [aNode('one', 2)],
    occupants: [],
    pools: [],
    running: [],
    departments: new Map(),
    use: emptyUse(hourMs),
    turns: new Map(),
    ...over,
    queue: queueOf(jobs),
    settings: { ...defaultAdmissionSettings, ...settings },
  }
}

/** `a on one`, `b in warm-0`, `c in warm-1 for old` when it throws the model `old` out. */
export function startsOf({ starts }: Admission): string[] {
  return starts.map(({ job, place }) => {
    if (place.kind === 'Quota') return `${job.uid} to its quota`
    if (place.kind === 'Node') return `${job.uid} on ${place.nodeName}`
    const switched = place.slotModel !== null && place.slotModel !== job.model
    return `${job.uid} in ${place.pod}${switched ? ` for ${place.slotModel}` : ''}`
  })
}
