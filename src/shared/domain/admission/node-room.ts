import type { AdmissionInput } from './input.ts'
import { type AdmissionNode, bestNode, fitsSomeNode } from './nodes.ts'
import { fitsInto, addResources, type Resources, subtractResources } from './resources.ts'

type Run = { readonly startMs: number; readonly request: Resources }
type Pod = Run & {
  readonly uid: string
  readonly nodeName?: string | undefined
  readonly plannedName?: string | undefined
}

/**
 * What is free on the Nodes while a plan gives room away. Room only ever shrinks during a plan, so
 * a request that found none is not looked up again.
 */
export class NodeRoom {
  readonly #nodes: readonly AdmissionNode[]
  /** Nodes that may take something. */
  readonly #free: Map<string, Resources>
  /** What jobs have and may have of each Node: all but what occupants have. */
  readonly #capacity: Map<string, Resources>
  /** Pods of jobs by Node: those that will end. */
  readonly #runs = new Map<string, Run[]>()
  readonly #unfit = new Set<string>()
  readonly #holdable = new Map<string, boolean>()

  constructor(nodes: readonly AdmissionNode[]) {
    this.#nodes = nodes
    const usable = nodes.filter((node) => node.usable)
    this.#free = new Map(usable.map((node) => [node.name, node.allocatable]))
    this.#capacity = new Map(this.#free)
  }

  /** The Node that was chosen before, if it still has room; else the best that has. */
  find(request: Resources, plannedName = ''): string | undefined {
    const planned = this.#free.get(plannedName)
    if (planned !== undefined && fitsInto(request, planned)) return plannedName
    const key = keyOf(request)
    if (this.#unfit.has(key)) return undefined
    const name = bestNode(request, this.#free)
    if (name === undefined) this.#unfit.add(key)
    return name
  }

  /** Something without an end, unless it is a run. An unknown Node changes nothing. */
  take(name: string, request: Resources, run?: Pick<Run, 'startMs'>): void {
    const before = this.#free.get(name)
    if (before === undefined) return
    this.#free.set(name, subtractResources(before, request))
    if (run === undefined) {
      this.#capacity.set(name, subtractResources(this.#capacity.get(name) ?? before, request))
      return
    }
    const runs = this.#runs.get(name) ?? []
    this.#runs.set(name, runs)
    runs.push({ ...run, request })
  }

  /** Nothing more starts there in this plan. */
  reserve(name: string): void {
    this.#free.delete(name)
  }

  /** Whether any Node there is, in use or down, could ever hold it. */
  canEverHold(request: Resources): boolean {
    const key = keyOf(request)
    const known = this.#holdable.get(key) ?? fitsSomeNode(request, this.#nodes)
    this.#holdable.set(key, known)
    return known
  }

  /** Whether this Node could hold it if no job ran there. */
  couldHold(name: string, request: Resources): boolean {
    const capacity = this.#capacity.get(name)
    return capacity !== undefined && fitsInto(request, capacity)
  }

  /**
   * For a request that fits nowhere now: the Node where it surely fits first, given that no run
   * lasts longer than L and nothing else starts there. If the runs that must end for it, the oldest
   * first, started at T or before, it fits by T + L. While the Node is reserved its T never grows,
   * and a Node that is chosen over it has a smaller T: changing over loses nothing of the waiting.
   */
  soonest(request: Resources): string | undefined {
    const all = [...this.#free.keys()].flatMap((name) => {
      const lastStartMs = this.#lastStartMs(name, request)
      return lastStartMs === undefined ? [] : { name, lastStartMs }
    })
    all.sort((left, right) => {
      if (left.lastStartMs !== right.lastStartMs) return left.lastStartMs - right.lastStartMs
      return left.name < right.name ? -1 : 1
    })
    return all[0]?.name
  }

  /** Start of the last run that must end before it fits, the oldest ending first. */
  #lastStartMs(name: string, request: Resources): number | undefined {
    let free = this.#free.get(name)
    if (free === undefined) return undefined
    const runs = (this.#runs.get(name) ?? []).toSorted(
      (left, right) => left.startMs - right.startMs,
    )
    for (const run of runs) {
      free = addResources(free, run.request)
      if (fitsInto(request, free)) return run.startMs
    }
    return undefined
  }
}

/**
 * Bound pods first, then those the scheduler has yet to bind, as it probably will. One that fits
 * nowhere keeps the Node for itself where it will fit soonest: starting more there would only
 * make two pods wait.
 */
export function openNodeRoom({ nodes, occupants, running }: AdmissionInput): NodeRoom {
  const room = new NodeRoom(nodes)
  const pods: Pod[] = occupants.map((occupant) => ({ ...occupant, startMs: Infinity }))
  for (const { uid, startMs, place } of running) {
    if (place.kind === 'Node') pods.push({ uid, startMs, ...place })
  }
  for (const pod of pods.toSorted(comparePods)) {
    const name = pod.nodeName ?? room.find(pod.request, pod.plannedName)
    if (name !== undefined) {
      room.take(name, pod.request, pod.startMs === Infinity ? undefined : pod)
      continue
    }
    const kept = room.soonest(pod.request)
    if (kept !== undefined) room.reserve(kept)
  }
  return room
}

function comparePods(left: Pod, right: Pod): number {
  const leftBound = left.nodeName === undefined ? 1 : 0
  const rightBound = right.nodeName === undefined ? 1 : 0
  if (leftBound !== rightBound) return leftBound - rightBound
  if (left.request.gpus !== right.request.gpus) return right.request.gpus - left.request.gpus
  return left.uid < right.uid ? -1 : 1
}

function keyOf({ gpus, cpuMillis, memoryBytes }: Resources): string {
  return `${gpus}/${cpuMillis}/${memoryBytes}`
}
