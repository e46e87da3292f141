import { type AdmissionNode, bestNode, fitsSomeNode } from './nodes.ts'
import {
  addResources,
  fitsInto,
  noResources,
  type Resources,
  subtractResources,
} from './resources.ts'

/** What has room on a Node. */
export type Tenant = {
  readonly uid: string
  readonly request: Resources
  /** The start of what must end before it does; absent: it stays. */
  readonly startMs?: number | undefined
  readonly pool?: string | undefined
  /** The start of the newest job in a pod of a pool. */
  readonly busySinceMs?: number | undefined
}
type Run = Tenant & { readonly startMs: number }

/** What pools are to do, and to leave alone, for jobs whose pods have no Node yet. */
export type KeptRoom = {
  /** As `NodeRoom.leaving`. */
  readonly leaving: readonly string[]
  /** What is free on each Node beside what was promised, but for Nodes that are kept. */
  readonly elsewhere: readonly Resources[]
  /** What the scheduler sees free on Nodes that are kept, or of which something was promised. */
  readonly contested: readonly Contested[]
  /** A Node is kept: pods that wait for room would be the first to have what becomes free there. */
  readonly isWaitedFor: boolean
}

/** `left`: what of it is for anybody; absent: nothing. */
type Contested = { readonly free: Resources; readonly left?: Resources | undefined }

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
  readonly #surplus: ReadonlyMap<string, number>
  readonly #leaving: string[] = []
  readonly #promised = new Map<string, Resources>()
  /** What is free on Nodes that are kept. */
  readonly #kept: Resources[] = []
  #hasCleared = false
  readonly #unfit = new Set<string>()
  readonly #holdable = new Map<string, boolean>()
  readonly #heldByIdle = new Map<string, boolean>()

  constructor(nodes: readonly AdmissionNode[], surplus: ReadonlyMap<string, number>) {
    this.#nodes = nodes
    this.#surplus = surplus
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

  /** The same for the pod of a job that is yet to be bound: no pod of a pool is to come before it. */
  promise(name: string, tenant: Tenant): void {
    this.take(name, tenant)
    const before = this.#promised.get(name) ?? noResources
    this.#promised.set(name, addResources(before, tenant.request))
  }

  /**
   * Nothing more starts in this plan on the Node where it will fit soonest. `mayClear`: where no
   * end of a run makes room for it, pods of pools may be asked to go, once in a plan. False: there
   * is no such Node.
   */
  keepFor(request: Resources, { mayClear }: { readonly mayClear: boolean }): boolean {
    const maySearch = mayClear && !this.#hasCleared
    const chosen = this.#soonest(request) ?? (maySearch ? this.#clearing(request) : undefined)
    if (chosen === undefined) return false
    this.#hasCleared ||= chosen.pods.length > 0
    this.#kept.push(this.#free.get(chosen.name) ?? noResources)
    this.#free.delete(chosen.name)
    const going = this.#runsOn(chosen.name).filter(({ pool }) => pool !== undefined)
    this.#leaving.push(...[...going, ...chosen.pods].map(({ uid }) => uid))
    return true
  }

  /** uids of the pods of pools that are to go, and of those that are going there already. */
  get leaving(): readonly string[] {
    return this.#leaving
  }

  kept(): KeptRoom | undefined {
    if (this.#promised.size === 0 && this.#kept.length === 0) return undefined
    const promised = [...this.#promised].map(([name, request]): Contested => {
      const left = this.#free.get(name)
      return { free: addResources(request, left ?? noResources), left }
    })
    return {
      leaving: this.#leaving,
      elsewhere: [...this.#free.values()],
      contested: [...promised, ...this.#kept.map((free) => ({ free }))],
      isWaitedFor: this.#kept.length > 0,
    }
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

  /** Whether only pods of pools that have nothing to do keep it from fitting somewhere. */
  isHeldByIdle(request: Resources): boolean {
    const key = keyOf(request)
    const known = this.#heldByIdle.get(key)
    const isHeld = known ?? [...this.#free.keys()].some((name) => this.#hasIdle(name, request))
    this.#heldByIdle.set(key, isHeld)
    return isHeld
  }

  #hasIdle(name: string, request: Resources): boolean {
    if (!this.couldHold(name, request)) return false
    const idle = this.#mayGo(name).filter(({ busySinceMs }) => busySinceMs === undefined)
    const free = this.#free.get(name) ?? noResources
    return fitsInto(request, idle.map((pod) => pod.request).reduce(addResources, free))
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

  /** The Node where it fits without the end of a run, and the fewest pods of pools have to go. */
  #clearing(request: Resources): Choice | undefined {
    const all = [...this.#free].flatMap(([name, free]) => {
      if (!this.couldHold(name, request)) return []
      const pods = this.#inTheWay(name, { request, free })
      if (pods !== undefined) return { name, pods, runs: 0 }
      const runs = this.#runsOn(name)
      const later = runs.reduce((sum, run) => addResources(sum, run.request), free)
      const fewer = this.#inTheWay(name, { request, free: later })
      return fewer === undefined ? [] : { name, pods: fewer, runs: 1 }
    })
    all.sort((left, right) => {
      const byNumbers = left.runs - right.runs || left.pods.length - right.pods.length
      return byNumbers || (left.name < right.name ? -1 : 1)
    })
    return all[0]
  }

  /** Pods without which it fits, none of them in vain; undefined where it would not even so. */
  #inTheWay(name: string, { request, free }: Wish): readonly Tenant[] | undefined {
    let room = free
    const pods: Tenant[] = []
    for (const pod of this.#mayGo(name)) {
      if (fitsInto(request, room)) break
      room = addResources(room, pod.request)
      pods.push(pod)
    }
    if (!fitsInto(request, room)) return undefined
    return pods.filter((pod) => {
      const without = subtractResources(room, pod.request)
      if (!fitsInto(request, without)) return true
      room = without
      return false
    })
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

type Wish = { readonly request: Resources; readonly free: Resources }
type Choice = {
  readonly name: string
  /** Pods of pools that have to go there. */
  readonly pods: readonly Tenant[]
}

function poolOf({ pool = '' }: Tenant): string {
  return pool
}

function addTo<T>(lists: Map<string, T[]>, key: string, one: T): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [one])
  else list.push(one)
}

/** Those that have nothing to do first; of those the largest, so that few go. */
function compareLent(left: Tenant, right: Tenant): number {
  const byWork = (left.busySinceMs ?? 0) - (right.busySinceMs ?? 0)
  const byGpus = right.request.gpus - left.request.gpus
  return byWork || byGpus || (left.uid < right.uid ? -1 : 1)
}

function keyOf({ gpus, cpuMillis, memoryBytes }: Resources): string {
  return `${gpus}/${cpuMillis}/${memoryBytes}`
}
