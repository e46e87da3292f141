import { keyOf } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import {
  type AdmissionInput,
  type Place,
  planAdmission,
  type RunningAttempt,
} from '../../shared/domain/admission/plan.ts'
import type { Resources } from '../../shared/domain/admission/resources.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { REPLAN_MS, REPLAN_SHARE, RESERVATION_MS } from '../limits.ts'
import {
  attemptId,
  type CandidateFacts,
  viewCandidate,
  viewNodes,
  viewRunning,
} from './admission-input.ts'
import type { HoldMemory } from './hold-memory.ts'
import { attemptJobName } from './names.ts'

export type AdmissionBoardOptions = {
  readonly caches: Caches
  readonly holds: HoldMemory
  readonly allowCpu: boolean
  readonly clock: Clock
  /** Called for each job that has got a place, or cannot ever get one any more. */
  readonly wake: (key: string) => void
  readonly onError: (error: unknown) => void
}

export type GpuCount = { readonly total: number; readonly used: number }

type Reservation = {
  readonly job: GenerationJob
  readonly number: number
  readonly request: Resources
  readonly untilMs: number
}

const waiting: Place = { kind: 'Queued', cause: 'Turn' }

/**
 * The one place where GPUs are given away. It plans for all jobs at once from the caches, plus
 * what it gave away itself and no cache shows yet.
 */
export class AdmissionBoard {
  readonly #options: AdmissionBoardOptions
  readonly #reserved = new Map<string, Reservation>()
  /** Jobs whose reconcile failed: they stand aside until they ask again. */
  #aside: Set<string> = new Set()
  #places: ReadonlyMap<string, Place> = new Map()
  /** How long the last plan took: a deep queue is planned less often. */
  #costMs = 0
  #timer: NodeJS.Timeout | undefined

  constructor(options: AdmissionBoardOptions) {
    this.#options = options
  }

  /** Something that matters changed: plan again soon, once for many changes. */
  touch(): void {
    this.#timer ??= setTimeout(
      () => this.#guarded(() => this.#plan()),
      Math.max(REPLAN_MS, this.#costMs * REPLAN_SHARE),
    )
  }

  placeOf(job: GenerationJob): Place {
    const { uid } = job.metadata
    if (this.#reservationOf(uid) !== undefined) return { kind: 'Admitted' }
    if (viewCandidate(this.#options.caches, job, this.#facts()) === undefined) return waiting
    // A plan of some moments ago still holds: what it gave away fits, and the next one wakes.
    const isUnplanned = this.#aside.delete(uid) || !this.#places.has(uid)
    if (isUnplanned) this.#plan()
    return this.#places.get(uid) ?? waiting
  }

  /** Counts the attempt as running from now on, before any cache shows it. */
  reserve(job: GenerationJob, attempt: Pick<Reservation, 'number' | 'request'>): void {
    const untilMs = this.#options.clock.nowMs() + RESERVATION_MS
    this.#reserved.set(job.metadata.uid, { ...attempt, job, untilMs })
  }

  /** The attempt could not be created: others may have its GPUs until the job asks again. */
  release(uid: string): void {
    this.#reserved.delete(uid)
    this.standAside(uid)
  }

  /** Whatever is wrong with the job, it must not keep those behind it waiting. */
  standAside(uid: string): void {
    this.#aside.add(uid)
    this.touch()
  }

  /** GPUs of all known Nodes, and those that attempts use. */
  gpus(): GpuCount {
    const nodes = viewNodes(this.#options.caches)
    const total = nodes.reduce((sum, { allocatable }) => sum + allocatable.gpus, 0)
    const used = this.#running().reduce((sum, { request }) => sum + request.gpus, 0)
    return { total, used }
  }

  stop(): void {
    clearTimeout(this.#timer)
  }

  #plan(): void {
    const { clock } = this.#options
    clearTimeout(this.#timer)
    this.#timer = undefined
    const startMs = clock.nowMs()
    const before = this.#places
    this.#places = planAdmission(this.#input())
    this.#costMs = clock.nowMs() - startMs
    for (const [uid, place] of this.#places) {
      if (matters(before.get(uid), place)) this.#wake(uid)
    }
  }

  #wake(uid: string): void {
    const { caches, wake } = this.#options
    for (const job of caches.generationJobs.listIndexed(indexKeys.uid(uid))) wake(keyOf(job))
  }

  #input(): AdmissionInput {
    const { caches } = this.#options
    const facts = this.#facts()
    const jobs = caches.generationJobs
      .listIndexed(indexKeys.open)
      .filter(({ metadata }) => this.#reservationOf(metadata.uid) === undefined)
    const aside = jobs.filter(({ metadata }) => this.#aside.has(metadata.uid))
    this.#aside = new Set(aside.map(({ metadata }) => metadata.uid))
    return {
      nodes: viewNodes(caches),
      running: this.#running(),
      candidates: jobs
        .filter((job) => !aside.includes(job))
        .flatMap((job) => this.#guarded(() => viewCandidate(caches, job, facts)) ?? []),
    }
  }

  /** One object that cannot be understood must not stop the queue. */
  #guarded<T>(work: () => T): T | undefined {
    try {
      return work()
    } catch (error) {
      this.#options.onError(error)
      return undefined
    }
  }

  #facts(): CandidateFacts {
    const { allowCpu, caches, clock, holds } = this.#options
    return {
      allowCpu,
      clusterGpus: viewNodes(caches).reduce((sum, { allocatable }) => sum + allocatable.gpus, 0),
      nowMs: clock.nowMs(),
      mayBeHeld: (job) => holds.mayBeHeld(job),
    }
  }

  #running(): readonly RunningAttempt[] {
    const seen = viewRunning(this.#options.caches)
    const unseen = [...this.#reserved.keys()].flatMap((uid) => this.#reservationOf(uid) ?? [])
    return [...seen, ...unseen.map(asRunning)]
  }

  /** Ends as soon as the cache shows the attempt, or when it should have long ago. */
  #reservationOf(uid: string): Reservation | undefined {
    const { caches, clock } = this.#options
    const reservation = this.#reserved.get(uid)
    if (reservation === undefined) return undefined
    const name = attemptJobName(uid, reservation.number)
    const isSeen = caches.jobs
      .listIndexed(indexKeys.uid(uid))
      .some(({ metadata }) => metadata.name === name)
    if (!isSeen && clock.nowMs() < reservation.untilMs) return reservation
    this.#reserved.delete(uid)
    return undefined
  }
}

function asRunning({ job, number, request }: Reservation): RunningAttempt {
  const { department, user } = job.spec.owner
  return { uid: attemptId(job.metadata.uid, number), department, user, request }
}

function matters(before: Place | undefined, after: Place): boolean {
  if (after.kind === 'Admitted') return before?.kind !== 'Admitted'
  const wasTooLarge = before?.kind === 'Queued' && before.cause === 'TooLarge'
  return wasTooLarge !== (after.cause === 'TooLarge')
}
