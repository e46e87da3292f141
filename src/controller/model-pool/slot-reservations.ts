import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { isTerminal } from '../generation-job/eligibility.ts'
import { RELEASED_SLOT_MS, UNSEEN_MAX_MS } from '../limits.ts'
import { type SlotJob, slotJobId } from './slots.ts'

/** An attempt of a job that is to get a slot of the pod with this uid. */
export type SlotRequest = SlotJob & {
  readonly pod: string
  /** Names of the LoRAs that it needs beside its model. */
  readonly loras?: readonly string[] | undefined
}

/** An attempt in the pod with this uid. */
export type PodAttempt = Pick<SlotRequest, 'pod' | 'uid' | 'attempt'>

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
    const untilMs = this.#options.clock.nowMs() + UNSEEN_MAX_MS
    const id = slotJobId(request)
    this.#released.delete(releaseId(request))
    reserved.set(id, { ...request, untilMs })
    this.#byPod.set(request.pod, reserved)
  }

  /** Of this pod only: what one says of an attempt ends nothing that another one does. */
  release(attempt: PodAttempt): void {
    const id = releaseId(attempt)
    this.#released.delete(id)
    this.#released.set(id, this.#options.clock.nowMs() + RELEASED_SLOT_MS)
    this.#forgetOldReleases()
    this.#drop(attempt.pod, slotJobId(attempt))
  }

  isReleased(attempt: PodAttempt): boolean {
    return this.#released.has(releaseId(attempt))
  }

  /** Reservations of this pod that still count. */
  on(podUid: string): readonly SlotJob[] {
    const reserved = [...(this.#byPod.get(podUid) ?? [])]
    for (const [id, reservation] of reserved) {
      if (!this.#counts(reservation)) this.#drop(podUid, id)
    }
    return [...(this.#byPod.get(podUid)?.values() ?? [])]
  }

  /**
   * Until the cache shows the attempt or a later one, or should have long ago. Which slot was
   * chosen for it no cache shows: that is remembered while it runs in this pod.
   */
  #counts({ pod, uid, attempt, instead, untilMs }: Reservation): boolean {
    const job = this.#jobOf(uid)
    if (job === undefined || isTerminal(job)) return false
    const { number = 0, podUID, outcome } = job.status?.attempt ?? {}
    const isThere = number === attempt && podUID === pod && outcome === undefined
    if (isThere) return instead !== undefined
    return number < attempt && this.#options.clock.nowMs() < untilMs
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

function releaseId(attempt: PodAttempt): string {
  return `${attempt.pod}/${slotJobId(attempt)}`
}
