import {
  type AdmissionNode,
  bestNode,
  fitsSomeNode,
  type FreeNodes,
  freeOf,
  occupy,
} from './nodes.ts'
import type { Resources } from './resources.ts'

/** An attempt that has, or is about to have, a pod. */
export type RunningAttempt = {
  readonly uid: string
  readonly department: string
  readonly user?: string | undefined
  readonly request: Resources
  /** Absent until the scheduler has bound the pod. */
  readonly nodeName?: string | undefined
}

/** A job that could start now if there were a place for it. */
export type Candidate = {
  readonly uid: string
  /** RFC 3339 in UTC with fixed width, as the API server writes it: sorts as text. */
  readonly createdTime: string
  readonly priority: number
  readonly department: string
  readonly user?: string | undefined
  readonly request: Resources
  /** How many jobs may run at once; absent means any number. */
  readonly limits: { readonly owner?: number | undefined; readonly department?: number | undefined }
}

/** `TooLarge`: no Node there is could ever hold the job. `Limit`: its owner runs enough already. */
export type Place =
  | { readonly kind: 'Admitted' }
  | { readonly kind: 'Queued'; readonly cause: 'Turn' | 'Limit' | 'TooLarge' }

export type AdmissionInput = {
  readonly nodes: readonly AdmissionNode[]
  readonly running: readonly RunningAttempt[]
  readonly candidates: readonly Candidate[]
}

type State = {
  readonly free: FreeNodes
  readonly runningBy: ReadonlyMap<string, number>
  /** Somebody who came earlier waits for room: nobody behind may take it. */
  readonly blocked: boolean
}

/**
 * Gives places first come, first served: higher priority first, then older, then smaller uid.
 * A job that must wait for room blocks those behind it, so that large jobs are not starved.
 * A job over its owner's limits, or too large for every Node, blocks nobody.
 * The answer depends only on the set of inputs, never on their order.
 */
export function planAdmission(input: AdmissionInput): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>()
  let state = occupyRunning(input)
  for (const candidate of input.candidates.toSorted(compareCandidates)) {
    const place = placeOf(candidate, state, input.nodes)
    places.set(candidate.uid, place)
    state = stateAfter(state, candidate, place)
  }
  return places
}

export function compareCandidates(left: Candidate, right: Candidate): number {
  if (left.priority !== right.priority) return right.priority - left.priority
  if (left.createdTime !== right.createdTime) return left.createdTime < right.createdTime ? -1 : 1
  return left.uid < right.uid ? -1 : 1
}

function placeOf(candidate: Candidate, state: State, nodes: readonly AdmissionNode[]): Place {
  if (!fitsSomeNode(candidate.request, nodes)) return { kind: 'Queued', cause: 'TooLarge' }
  if (isOverLimit(candidate, state.runningBy)) return { kind: 'Queued', cause: 'Limit' }
  if (state.blocked) return { kind: 'Queued', cause: 'Turn' }
  if (bestNode(candidate.request, state.free) === undefined) {
    return { kind: 'Queued', cause: 'Turn' }
  }
  return { kind: 'Admitted' }
}

function stateAfter(state: State, candidate: Candidate, place: Place): State {
  if (place.kind === 'Queued') {
    return place.cause === 'Turn' ? { ...state, blocked: true } : state
  }
  const name = bestNode(candidate.request, state.free)
  const free = name === undefined ? state.free : occupy(state.free, name, candidate.request)
  return { ...state, free, runningBy: count(state.runningBy, candidate) }
}

/** Bound pods first, then those the scheduler has yet to bind, as it probably will. */
function occupyRunning({ nodes, running }: AdmissionInput): State {
  let free = freeOf(nodes)
  let blocked = false
  let runningBy: ReadonlyMap<string, number> = new Map()
  for (const attempt of running.toSorted(compareRunning)) {
    const name = attempt.nodeName ?? bestNode(attempt.request, free)
    if (name !== undefined) free = occupy(free, name, attempt.request)
    else if (fitsSomeNode(attempt.request, nodes)) blocked = true
    runningBy = count(runningBy, attempt)
  }
  return { free, runningBy, blocked }
}

function compareRunning(left: RunningAttempt, right: RunningAttempt): number {
  const leftBound = left.nodeName === undefined ? 1 : 0
  const rightBound = right.nodeName === undefined ? 1 : 0
  if (leftBound !== rightBound) return leftBound - rightBound
  if (left.request.gpus !== right.request.gpus) return right.request.gpus - left.request.gpus
  return left.uid < right.uid ? -1 : 1
}

type Owned = { readonly department: string; readonly user?: string | undefined }

const departmentKey = ({ department }: Owned) => department
/** A department's own jobs, without a user, are one owner of their own. */
const ownerKey = ({ department, user = '' }: Owned) => `${department}/${user}`

function isOverLimit(candidate: Candidate, runningBy: ReadonlyMap<string, number>): boolean {
  const { owner = Infinity, department = Infinity } = candidate.limits
  return (
    (runningBy.get(ownerKey(candidate)) ?? 0) >= owner ||
    (runningBy.get(departmentKey(candidate)) ?? 0) >= department
  )
}

function count(runningBy: ReadonlyMap<string, number>, owned: Owned): ReadonlyMap<string, number> {
  const counted = new Map(runningBy)
  for (const key of [departmentKey(owned), ownerKey(owned)]) {
    counted.set(key, (counted.get(key) ?? 0) + 1)
  }
  return counted
}
