import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { RunningJob } from '../../shared/domain/admission/input.ts'
import type { Resources } from '../../shared/domain/admission/resources.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { UNSEEN_MAX_MS } from '../limits.ts'
import { attemptId } from './admission-input.ts'
import { attemptJobName } from './names.ts'

/** The place of an attempt that is about to start. Who has which slot is known to the pools. */
export type ReservedPlace =
  | {
      readonly kind: 'Node'
      readonly request: Resources
      readonly nodeName?: string | undefined
    }
  | { readonly kind: 'Slot'; readonly podUID: string; readonly instead?: string | undefined }
  | { readonly kind: 'Quota' }

type Reservation = {
  readonly job: GenerationJob
  readonly number: number
  readonly place: ReservedPlace
  readonly sinceMs: number
}

export type ReservationOptions = {
  readonly caches: Pick<Caches, 'jobs' | 'generationJobs'>
  readonly clock: Clock
}

/** Places that were given away and that no cache shows yet. */
export class PlaceReservations {
  readonly #options: ReservationOptions
  readonly #byUid = new Map<string, Reservation>()

  constructor(options: ReservationOptions) {
    this.#options = options
  }

  add(job: GenerationJob, attempt: Pick<Reservation, 'number' | 'place'>): void {
    const sinceMs = this.#options.clock.nowMs()
    this.#byUid.set(job.metadata.uid, { ...attempt, job, sinceMs })
  }

  /** What was kept for the job until now. */
  remove(uid: string): Reservation | undefined {
    const reservation = this.#byUid.get(uid)
    this.#byUid.delete(uid)
    return reservation
  }

  /**
   * Ends as soon as the cache shows the attempt. One that shows it in the status of its job only is
   * behind: the attempt is there. Else it ends when the cache should have shown it long ago.
   */
  of(uid: string): Reservation | undefined {
    const reservation = this.#byUid.get(uid)
    return reservation !== undefined && this.#counts(reservation) ? reservation : undefined
  }

  /** Forgets those that have ended. `isLost`: no cache has shown the attempt, nor ever will. */
  takeEnded(): { readonly job: GenerationJob; readonly isLost: boolean }[] {
    const ended = [...this.#byUid.values()].filter((reservation) => !this.#counts(reservation))
    for (const { job } of ended) this.#byUid.delete(job.metadata.uid)
    return ended.map((reservation) => {
      return { job: reservation.job, isLost: !this.#isSeen(reservation) }
    })
  }

  /** When the next of them ends by time alone; Infinity: none does. */
  nextEndMs(): number {
    const nowMs = this.#options.clock.nowMs()
    const ends = [...this.#byUid.values()].map(endOf).filter((endMs) => endMs > nowMs)
    return Math.min(...ends)
  }

  /** Those that take room on Nodes, or wait for Kueue. */
  running(): RunningJob[] {
    return [...this.#byUid.values()]
      .filter((reservation) => this.#counts(reservation))
      .flatMap(asRunning)
  }

  #counts(reservation: Reservation): boolean {
    const isLate = this.#options.clock.nowMs() >= endOf(reservation)
    return (!isLate || this.#isWritten(reservation)) && !this.#isSeen(reservation)
  }

  #isSeen({ job, number, place }: Reservation): boolean {
    const { uid } = job.metadata
    const { number: last = 0, outcome } = this.#attemptOf(uid) ?? {}
    if (last > number || (last === number && outcome !== undefined)) return true
    if (place.kind === 'Slot') return last === number
    const name = attemptJobName(uid, number)
    const all = this.#options.caches.jobs.listIndexed(indexKeys.uid(uid))
    return all.some(({ metadata }) => metadata.name === name)
  }

  /** Its Job was made. */
  #isWritten({ job, number }: Reservation): boolean {
    return this.#attemptOf(job.metadata.uid)?.number === number
  }

  #attemptOf(uid: string) {
    const [cached] = this.#options.caches.generationJobs.listIndexed(indexKeys.uid(uid))
    return cached?.status?.attempt
  }
}

function endOf({ sinceMs }: Reservation): number {
  return sinceMs + UNSEEN_MAX_MS
}

function asRunning({ job, number, place, sinceMs }: Reservation): RunningJob[] {
  if (place.kind === 'Slot') return []
  const { owner, modelRef } = job.spec
  const owned = {
    uid: attemptId(job.metadata.uid, number),
    department: owner.department,
    user: owner.user,
    model: modelRef.name,
    startMs: sinceMs,
  }
  if (place.kind === 'Quota') return [{ ...owned, gpus: 0, place }]
  const { request, nodeName: plannedName } = place
  return [{ ...owned, gpus: request.gpus, place: { kind: 'Node', request, plannedName } }]
}
