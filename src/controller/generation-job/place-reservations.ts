import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { RunningJob } from '../../shared/domain/admission/input.ts'
import type { Resources } from '../../shared/domain/admission/resources.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { RESERVATION_MS } from '../limits.ts'
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
    if (reservation === undefined) return undefined
    const isLate = this.#options.clock.nowMs() - reservation.sinceMs >= RESERVATION_MS
    const isKept = !isLate || this.#isWritten(reservation)
    if (isKept && !this.#isSeen(reservation)) return reservation
    this.#byUid.delete(uid)
    return undefined
  }

  /** Jobs whose reservation ended without anybody having asked. */
  ended(): GenerationJob[] {
    const before = [...this.#byUid.values()]
    return before.filter(({ job }) => this.of(job.metadata.uid) === undefined).map(({ job }) => job)
  }

  /** Those that take room on Nodes, or wait for Kueue. */
  running(): RunningJob[] {
    return [...this.#byUid.keys()].flatMap((uid) => {
      const reservation = this.of(uid)
      return reservation === undefined ? [] : asRunning(reservation)
    })
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
