import type { SlotState } from '../../shared/wire/pool.ts'

/** An attempt that has, or is about to have, a slot of a pool pod. */
export type SlotJob = {
  readonly uid: string
  readonly attempt: number
  readonly model: string
  /** The model that its slot is to give up for it, where it was chosen with one. */
  readonly instead?: string | undefined
}

/** Model that is warm in a free slot; null while none is. */
export type FreeSlot = { readonly model: string | null }

/** `uid/number`: tells attempts apart. */
export function slotJobId({ uid, attempt }: Pick<SlotJob, 'uid' | 'attempt'>): string {
  return `${uid}/${attempt}`
}

/**
 * The free slots of a pod: as it said when it was last asked, less those that were given away since
 * then. A job gets the slot that the pod will choose: a warm one first, then an empty one, then
 * the one that was chosen for it.
 */
export function freeSlotsOf(
  slots: readonly SlotState[],
  jobs: readonly SlotJob[],
): readonly FreeSlot[] {
  const known = new Set(slots.flatMap(({ job }) => (job === null ? [] : [slotJobId(job)])))
  const unknown = jobs.filter((job) => !known.has(slotJobId(job)))
  const idle = slots.filter(({ state }) => state === 'Idle').map(({ model }) => ({ model }))
  return unknown.reduce<readonly FreeSlot[]>(takeSlot, idle)
}

function takeSlot(free: readonly FreeSlot[], { model, instead }: SlotJob): readonly FreeSlot[] {
  const wishes = [model, null, instead]
  const [chosen = free[0]] = wishes.flatMap(
    (wish) => free.find((slot) => slot.model === wish) ?? [],
  )
  return free.filter((slot) => slot !== chosen)
}

/** The same slots, free where they have a job that is known to be over. */
export function withoutJobs(
  slots: readonly SlotState[],
  isOver: (job: Pick<SlotJob, 'uid' | 'attempt'>) => boolean,
): readonly SlotState[] {
  return slots.map((slot) => {
    return slot.job !== null && isOver(slot.job)
      ? { model: slot.model, state: 'Idle', job: null }
      : slot
  })
}
