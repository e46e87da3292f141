import type { AdmissionInput, RunningJob } from './input.ts'
import { type AdmissionNode, bestNode, fitsSomeNode } from './nodes.ts'
import {
  addResources,
  fitsInto,
  noResources,
  type Resources,
  subtractResources,
} from './resources.ts'

/** What has room on a Node. */
type Tenant = {
  readonly uid: string
  readonly request: Resources
  /** The start of what must end before it does; absent: it stays. */
  readonly startMs?: number | undefined
  readonly pool?: string | undefined
  /** The start of the newest job in a pod of a pool. */
  readonly busySinceMs?: number | undefined
}
type Run = Tenant & { readonly startMs: number }
type Pod = Tenant & {
  readonly nodeName?: string | undefined
  readonly plannedName?: string | undefined
}

/** What is to be done, and left alone, for the jobs for which a Node is kept. */
export type KeptRoom = {
  /** uids of the pods of pools that are to go, and of those that are going there already. */
  readonly leaving: readonly string[]
  /** What is free on each other Node. */
  readonly elsewhere: readonly Resources[]
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
  /** Pods of jobs, and pods of pools that are going, by Node: those that will end. */
  readonly #runs = new Map<string, Run[]>()
  /** Pods of pools that may be asked to go, by Node. */
  readonly #lent = new Map<string, Tenant[]>()
  readonly #lentOn = new Map<string, string>()
  /** How many pods each pool may give up. */
  readonly #surplus: Map<string, number>
  readonly #leaving: string[] = []
  #isKept = false
  readonly #unfit = new Set<string>()
  readonly #holdable = new Map<string, boolean>()

  constructor(nodes: readonly AdmissionNode[], surplus: ReadonlyMap<string, number>) {
    this.#nodes = nodes
    this.#surplus = new Map(surplus)
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

  /** An unknown Node changes nothing. */
  take(name: string, tenant: Tenant): void {
    const before = this.#free.get(name)
    if (before === undefined) return
    const { uid, request, startMs } = tenant
    this.#free.set(name, subtractResources(before, request))
    if (startMs !== undefined) {
      addTo(this.#runs, name, { ...tenant, startMs })
    } else if (this.#surplusOf(tenant) > 0) {
      addTo(this.#lent, name, tenant)
      this.#lentOn.set(uid, name)
    } else {
      this.#capacity.set(name, subtractResources(this.#capacity.get(name) ?? before, request))
    }
  }

  /**
   * Nothing more starts in this plan on the Node where it will fit soonest. `mayClear`: where no
   * end of a run makes room for it, pods of pools may be asked to go. False: there is no such Node.
   */
  keepFor(request: Resources, { mayClear }: { readonly mayClear: boolean }): boolean {
    const chosen = this.#soonest(request) ?? (mayClear ? this.#clearing(request) : undefined)
    if (chosen === undefined) return false
    this.#isKept = true
    this.#free.delete(chosen.name)
    const going = this.#runsOn(chosen.name).filter(({ pool }) => pool !== undefined)
    this.#leaving.push(...[...going, ...chosen.pods].map(({ uid }) => uid))
    for (const pod of chosen.pods) this.#surplus.set(poolOf(pod), this.#surplusOf(pod) - 1)
    return true
  }

  kept(): KeptRoom | undefined {
    if (!this.#isKept) return undefined
    return { leaving: this.#leaving, elsewhere: [...this.#free.values()] }
  }

  /** Whether any Node there is, in use or down, could ever hold it. */
  canEverHold(request: Resources): boolean {
    const key = keyOf(request)
    const known = this.#holdable.get(key) ?? fitsSomeNode(request, this.#nodes)
    this.#holdable.set(key, known)
    return known
  }

  /** Whether this Node could hold it if no job ran there, and pools gave up what they may. */
  couldHold(name: string, request: Resources): boolean {
    const capacity = this.#capacity.get(name)
    return capacity !== undefined && fitsInto(request, capacity)
  }

  /** The same for the Node of a pod that its pool may give up. */
  couldHoldWithout(podUid: string, request: Resources): boolean {
    const name = this.#lentOn.get(podUid)
    return name !== undefined && this.couldHold(name, request)
  }

  /**
   * For a request that fits nowhere now: the Node where it surely fits first, given that no run
   * lasts longer than L and nothing else starts there. If the runs that must end for it, the oldest
   * first, started at T or before, it fits by T + L. While the Node is reserved its T never grows,
   * and a Node that is chosen over it has a smaller T: changing over loses nothing of the waiting.
   */
  #soonest(request: Resources): Choice | undefined {
    const all = [...this.#free.keys()].flatMap((name) => {
      const lastStartMs = this.#lastStartMs(name, request)
      return lastStartMs === undefined ? [] : { name, lastStartMs }
    })
    all.sort((left, right) => {
      if (left.lastStartMs !== right.lastStartMs) return left.lastStartMs - right.lastStartMs
      return left.name < right.name ? -1 : 1
    })
    const [first] = all
    return first && { name: first.name, pods: [] }
  }

  /** Start of the last run that must end before it fits, the oldest ending first. */
  #lastStartMs(name: string, request: Resources): number | undefined {
    let free = this.#free.get(name)
    if (free === undefined) return undefined
    const runs = this.#runsOn(name).toSorted((left, right) => left.startMs - right.startMs)
    for (const run of runs) {
      free = addResources(free, run.request)
      if (fitsInto(request, free)) return run.startMs
    }
    return undefined
  }

  /** The Node where the fewest pods of pools have to go for it, given that no run lasts for ever. */
  #clearing(request: Resources): Choice | undefined {
    const all = [...this.#free.keys()].flatMap((name) => {
      const pods = this.#inTheWay(name, request)
      return pods === undefined ? [] : { name, pods }
    })
    all.sort((left, right) => {
      const byPods = left.pods.length - right.pods.length
      return byPods || (left.name < right.name ? -1 : 1)
    })
    return all[0]
  }

  /** Undefined where it would not fit even without them. */
  #inTheWay(name: string, request: Resources): readonly Tenant[] | undefined {
    const before = this.#free.get(name) ?? noResources
    let free = this.#runsOn(name).reduce((sum, run) => addResources(sum, run.request), before)
    const pods: Tenant[] = []
    for (const pod of this.#mayGo(name)) {
      if (fitsInto(request, free)) return pods
      free = addResources(free, pod.request)
      pods.push(pod)
    }
    return fitsInto(request, free) ? pods : undefined
  }

  /** Of each pool no more than it may give up. */
  #mayGo(name: string): readonly Tenant[] {
    const lent = (this.#lent.get(name) ?? []).toSorted(compareLent)
    const byPool = Map.groupBy(lent, poolOf)
    return lent.filter((pod) => {
      return (byPool.get(poolOf(pod)) ?? []).indexOf(pod) < this.#surplusOf(pod)
    })
  }

  #runsOn(name: string): readonly Run[] {
    return this.#runs.get(name) ?? []
  }

  #surplusOf(tenant: Tenant): number {
    return this.#surplus.get(poolOf(tenant)) ?? 0
  }
}

type Choice = {
  readonly name: string
  /** Pods of pools that have to go there. */
  readonly pods: readonly Tenant[]
}

function poolOf({ pool = '' }: Tenant): string {
  return pool
}

/**
 * Bound pods first, then those the scheduler has yet to bind, as it probably will. One of a job
 * that fits nowhere keeps the Node for itself where it will fit soonest: starting more there would
 * only make two pods wait.
 */
export function openNodeRoom({ nodes, occupants, pools, running }: AdmissionInput): NodeRoom {
  const room = new NodeRoom(nodes, new Map(pools.map(({ name, surplus }) => [name, surplus])))
  const busySince = newestJobs(running)
  const pods: Pod[] = occupants.map((occupant) => {
    const busySinceMs = busySince.get(occupant.uid)
    const startMs = occupant.going === true ? (busySinceMs ?? 0) : undefined
    return { ...occupant, busySinceMs, startMs }
  })
  for (const { uid, startMs, place } of running) {
    if (place.kind === 'Node') pods.push({ uid, startMs, ...place })
  }
  for (const pod of pods.toSorted(comparePods)) {
    const name = pod.nodeName ?? room.find(pod.request, pod.plannedName)
    if (name !== undefined) room.take(name, pod)
    else if (pod.pool === undefined) room.keepFor(pod.request, { mayClear: true })
  }
  return room
}

/** The start of the newest job in each pod of a pool. */
function newestJobs(running: readonly RunningJob[]): ReadonlyMap<string, number> {
  const newest = new Map<string, number>()
  for (const { startMs, place } of running) {
    if (place.kind !== 'Slot') continue
    newest.set(place.pod, Math.max(startMs, newest.get(place.pod) ?? -Infinity))
  }
  return newest
}

function addTo<T>(lists: Map<string, T[]>, key: string, one: T): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [one])
  else list.push(one)
}

/** The largest first, so that few go; of those the ones that have nothing to do. */
function compareLent(left: Tenant, right: Tenant): number {
  const byGpus = right.request.gpus - left.request.gpus
  const byWork = (left.busySinceMs ?? 0) - (right.busySinceMs ?? 0)
  return byGpus || byWork || (left.uid < right.uid ? -1 : 1)
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
