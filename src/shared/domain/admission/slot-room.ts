import type { FreeSlot, Place, PoolView } from './input.ts'
import type { Candidate } from './queue.ts'

type SlotPlace = Extract<Place, { kind: 'Slot' }>
type Pool = { readonly view: PoolView; readonly free: Map<string | null, FreeSlot[]> }
type SlotWish = {
  /** Whether another model may be thrown out of memory for it. */
  readonly maySwitch: boolean
  /** Pools to leave alone. */
  readonly except?: ReadonlySet<string> | undefined
}

/** The free slots of the pools while a plan gives them away. */
export class SlotRoom {
  readonly #pools: ReadonlyMap<string, Pool>
  /** By the array of names itself: a plan asks several times for the same job. */
  readonly #sorted = new Map<readonly string[], readonly PoolView[]>()

  constructor(pools: readonly PoolView[]) {
    this.#pools = new Map(pools.map((view) => [view.name, { view, free: groupSlots(view) }]))
  }

  /** With the model in memory, else with none, else one that has to switch. */
  find(job: Candidate, { maySwitch, except }: SlotWish): SlotPlace | undefined {
    const pools: Pool[] = []
    for (const { name } of this.poolsOf(job)) {
      const pool = this.#pools.get(name)
      if (pool !== undefined && pool.free.size > 0 && except?.has(name) !== true) pools.push(pool)
    }
    const suits = suitsFor(job)
    const asItIs =
      firstOf(pools, { model: job.model, suits }) ?? firstOf(pools, { model: null, suits })
    return asItIs ?? (maySwitch ? spareOf(pools, suits) : undefined)
  }

  take({ pool, pod, slotModel }: SlotPlace): void {
    const free = this.#pools.get(pool)?.free
    const slots = free?.get(slotModel) ?? []
    const index = slots.findIndex((slot) => slot.pod === pod)
    if (index >= 0) slots.splice(index, 1)
    if (slots.length === 0) free?.delete(slotModel)
  }

  /** These pods take no more jobs. */
  close(pods: readonly string[]): void {
    if (pods.length === 0) return
    for (const { free } of this.#pools.values()) {
      for (const [model, slots] of free) {
        const left = slots.filter(({ pod }) => !pods.includes(pod))
        if (left.length > 0) free.set(model, left)
        else free.delete(model)
      }
    }
  }

  /** The pools there are that may serve the job, those with the smallest slots first. */
  poolsOf({ execution, pools }: Candidate): readonly PoolView[] {
    if (execution === 'Dedicated' || execution === 'Quota') return []
    const known = this.#sorted.get(pools)
    if (known !== undefined) return known
    const there = pools.flatMap((name) => this.#pools.get(name)?.view ?? []).toSorted(comparePools)
    this.#sorted.set(pools, there)
    return there
  }

  /** Whether a slot is free that could be the job's, whatever model it has in memory. */
  hasFree(job: Candidate): boolean {
    const suits = suitsFor(job)
    return this.poolsOf(job).some(({ name }) => {
      const { free } = this.#pools.get(name) ?? {}
      return free?.values().some((slots) => slots.some(suits)) === true
    })
  }

  gpusPerSlot(name: string): number {
    return this.#pools.get(name)?.view.gpusPerSlot ?? 0
  }
}

/** In these pools an earlier job of the same owner and of higher priority waits for a switch. */
export function claimedPools(
  before: readonly Candidate[],
  job: Candidate,
): Set<string> | undefined {
  const above = before.filter(({ priority }) => priority > job.priority)
  return above.length === 0 ? undefined : new Set(above.flatMap(({ pools }) => pools))
}

function comparePools(left: PoolView, right: PoolView): number {
  if (left.gpusPerSlot !== right.gpusPerSlot) return left.gpusPerSlot - right.gpusPerSlot
  return left.name < right.name ? -1 : 1
}

/** By model; the fullest pods first, so that the others may become idle and be taken down. */
function groupSlots({ slots }: PoolView): Map<string | null, FreeSlot[]> {
  const byPod = Map.groupBy(slots, ({ pod }) => pod)
  const sorted = slots.toSorted((left, right) => {
    const byFree = (byPod.get(left.pod)?.length ?? 0) - (byPod.get(right.pod)?.length ?? 0)
    return byFree === 0 ? compareText(left.pod, right.pod) : byFree
  })
  return Map.groupBy(sorted, ({ model }) => model)
}

type Suits = (slot: Pick<FreeSlot, 'lacks'>) => boolean

/** Its pod was made with all that the job needs. */
export function suitsFor({ model, loras = [] }: Pick<Candidate, 'model' | 'loras'>): Suits {
  return ({ lacks = [] }) => ![model, ...loras].some((name) => lacks.includes(name))
}

type SlotSearch = { readonly model: string | null; readonly suits: Suits }

function firstOf(pools: readonly Pool[], { model, suits }: SlotSearch): SlotPlace | undefined {
  for (const { view, free } of pools) {
    const slot = free.get(model)?.find(suits)
    if (slot !== undefined)
      return { kind: 'Slot', pool: view.name, pod: slot.pod, slotModel: model }
  }
  return undefined
}

/** Of the model that the most slots have: it is missed least. */
function spareOf(pools: readonly Pool[], suits: Suits): SlotPlace | undefined {
  const all = pools.flatMap(({ view, free }) =>
    [...free].flatMap(([slotModel, slots]) => {
      const slot = slots.find(suits)
      if (slot === undefined) return []
      const place: SlotPlace = { kind: 'Slot', pool: view.name, pod: slot.pod, slotModel }
      return { place, count: slots.length }
    }),
  )
  all.sort((left, right) => {
    if (left.count !== right.count) return right.count - left.count
    const byPool = compareText(left.place.pool, right.place.pool)
    return byPool || compareText(left.place.slotModel ?? '', right.place.slotModel ?? '')
  })
  return all[0]?.place
}

function compareText(left: string, right: string): number {
  if (left === right) return 0
  return left < right ? -1 : 1
}
