import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { isTerminal } from '../generation-job/eligibility.ts'
import { RELEASED_SLOT_MS, RESERVATION_MS } from '../limits.ts'
import { type SlotJob, slotJobId } from './slots.ts'

/** An attempt of a job that is to get a slot of the pod with this uid. */
export type SlotRequest = SlotJob & { readonly pod: string }

type Reservation = SlotRequest & { readonly untilMs: number }
type Options = { readonly caches: Pick<Caches, 'generationJobs'>; readonly clock: Clock }

/** Slots that were given away, or given back, and no cache shows it yet. */
export class SlotReservations {
  readonly #options: Options
  readonly #byPod = new Map<string, Map<string, Reservation>>()
  /** Until when an attempt that has given its slot back is remembered, oldest first. */
  readonly #released = new Map<string, number>()

  constructor(options: Options) {
    this.#options = options
  }

  reserve(request: SlotRequest): void {
    const reserved = this.#byPod.get(request.pod) ?? new Map<string, Reservation>()
    const untilMs = this.#options.clock.nowMs() + RESERVATION_MS
    const id = slotJobId(request)
    this.#released.delete(id)
    reserved.set(id, { ...request, untilMs })
    this.#byPod.set(request.pod, reserved)
  }

  /** Pods of which the attempt may have had a slot. */
  release(attempt: Pick<SlotJob, 'uid' | 'attempt'>): string[] {
    const id = slotJobId(attempt)
    this.#released.delete(id)
    this.#released.set(id, this.#options.clock.nowMs() + RELEASED_SLOT_MS)
    this.#forgetOldReleases()
    const reserved = [...this.#byPod].filter(([, all]) => all.has(id)).map(([pod]) => pod)
    for (const pod of reserved) this.#drop(pod, id)
    const written = this.#jobOf(attempt.uid)?.status?.attempt?.podUID
    return written === undefined ? reserved : [...new Set([...reserved, written])]
  }

  isReleased(attempt: Pick<SlotJob, 'uid' | 'attempt'>): boolean {
    return this.#released.has(slotJobId(attempt))
  }

  /** Reservations of this pod that still count. */
  on(podUid: string): readonly SlotJob[] {
    const reserved = [...(this.#byPod.get(podUid) ?? [])]
    for (const [id, reservation] of reserved) {
      if (!this.#counts(reservation)) this.#drop(podUid, id)
    }
    return [...(this.#byPod.get(podUid)?.values() ?? [])]
  }

  /** Until the cache shows the attempt or a later one, or should have long ago. */
  #counts({ uid, attempt, untilMs }: Reservation): boolean {
    const job = this.#jobOf(uid)
    if (job === undefined || isTerminal(job)) return false
    const written = job.status?.attempt?.number ?? 0
    return written < attempt && this.#options.clock.nowMs() < untilMs
  }

  #jobOf(uid: string): GenerationJob | undefined {
    return this.#options.caches.generationJobs.listIndexed(indexKeys.uid(uid))[0]
  }

  #drop(podUid: string, id: string): void {
    const reserved = this.#byPod.get(podUid)
    reserved?.delete(id)
    if (reserved?.size === 0) this.#byPod.delete(podUid)
  }

  #forgetOldReleases(): void {
    const nowMs = this.#options.clock.nowMs()
    for (const [id, untilMs] of this.#released) {
      if (untilMs > nowMs) return
      this.#released.delete(id)
    }
  }
}
