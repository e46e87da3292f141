import { keyOf } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { type Admission, admit } from '../../shared/domain/admission/admit.ts'
import {
  type AdmissionInput,
  defaultAdmissionSettings,
  type Place,
  type Turns,
} from '../../shared/domain/admission/input.ts'
import type { Candidate } from '../../shared/domain/admission/queue.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { RECHECK_MAX_MS, REPLAN_MAX_MS, REPLAN_MS, REPLAN_SHARE } from '../limits.ts'
import type { QuotaQueue } from '../kueue/quota-queue.ts'
import type { PoolBoard } from '../model-pool/pool-board.ts'
import { type CandidateFacts, loraNamesOf, viewCandidate } from './admission-input.ts'
import { Candidates } from './candidates.ts'
import { type ClusterState, ClusterView, type GpuCount } from './cluster-view.ts'
import { isReserved } from './eligibility.ts'
import type { HoldMemory } from './hold-memory.ts'
import { hopelessnessOf, slotPlaceIn, waiting } from './job-place.ts'
import type { JobPlace } from './observed.ts'
import { PastRuns } from './past-runs.ts'
import { PlaceReservations, type ReservedPlace } from './place-reservations.ts'
import { demandOf } from './pool-demand.ts'

export type AdmissionBoardOptions = {
  readonly caches: Caches
  readonly holds: HoldMemory
  readonly pools: Pick<
    PoolBoard,
    'views' | 'pods' | 'podOf' | 'occupants' | 'assign' | 'release' | 'setDemand'
  >
  readonly allowCpu: boolean
  /** Whose quota decides about a job; undefined when the plan here does. */
  readonly quotaOf: (job: GenerationJob) => QuotaQueue | undefined
  readonly clock: Clock
  /** Called for each job that has got a place. */
  readonly wake: (key: string) => void
  readonly onError: (error: unknown) => void
}

/** An attempt that is about to start in the place that it was given. */
export type NewAttempt = { readonly number: number; readonly place: ReservedPlace }
type SlotAttempt = NewAttempt & { readonly place: { readonly kind: 'Slot' } }
type SlotPlan = Extract<Place, { kind: 'Slot' }>

/**
 * The one place where GPUs are given away. It plans for all jobs at once from the caches, plus
 * what it gave away itself and no cache shows yet.
 */
export class AdmissionBoard {
  readonly #options: AdmissionBoardOptions
  readonly #candidates: Candidates
  readonly #reservations: PlaceReservations
  readonly #cluster: ClusterView
  readonly #past = new PastRuns()
  #places = new Map<string, Place>()
  #turns: Turns = new Map()
  #plannedMs = -Infinity
  /** How long the last plan took: a large cluster is planned less often. */
  #costMs = 0
  #timer: NodeJS.Timeout | undefined
  #recheck: NodeJS.Timeout | undefined

  constructor(options: AdmissionBoardOptions) {
    this.#options = options
    this.#candidates = new Candidates(options)
    this.#reservations = new PlaceReservations(options)
    this.#cluster = new ClusterView({ ...options, reservations: this.#reservations })
  }

  /** The job with this key, or an attempt of it, or what the api says of its hold, has changed. */
  noteJob(key: string): void {
    this.#candidates.note(key)
    this.touch()
  }

  noteModel(name: string): void {
    this.#candidates.noteModel(name)
    this.touch()
  }

  /** Who decides about jobs may have changed for all of them. */
  noteAll(): void {
    this.#candidates.noteAll()
    this.touch()
  }

  noteNodes(): void {
    this.#cluster.noteNodes()
    this.touch()
  }

  /** Something that matters changed: plan again soon, once for many changes. */
  touch(): void {
    this.#timer ??= setTimeout(() => this.#planSafely(), Math.max(REPLAN_MS, this.#pauseMs()))
  }

  /** The last plan has a place for it, which nobody else gets meanwhile. */
  hasPlace(uid: string): boolean {
    return this.#places.has(uid)
  }

  /** Where the next attempt of the job may start now. */
  placeOf(job: GenerationJob): JobPlace {
    const { uid } = job.metadata
    const reserved = this.#reservations.of(uid)?.place
    const again = reserved && this.#placeAgain(job, reserved)
    if (again !== undefined) return again
    const candidate = this.#candidates.ask(job, this.#facts())
    if (candidate === undefined) return waiting
    if (this.#candidates.isFresh(uid)) this.#planForOne()
    if (candidate.execution !== 'Quota') return this.#resolve(candidate)
    return this.#places.get(uid)?.kind === 'Quota' ? this.#toQuota(job) : waiting
  }

  /**
   * Counts the attempt as running from now on, before any cache shows it. False when its slot is
   * gone. To be called in the turn in which its place was asked for.
   */
  reserve(job: GenerationJob, { number, place }: NewAttempt): boolean {
    const { uid } = job.metadata
    if (place.kind === 'Slot' && !this.#takeSlot(job, { number, place })) return this.#lose(uid)
    this.#reservations.add(job, { number, place })
    this.#candidates.queue.remove(uid)
    return true
  }

  /** The attempt could not be created: others may have its place until the job asks again. */
  release(job: GenerationJob): void {
    this.#giveBack(job)
    this.standAside(job)
  }

  /** Whatever is wrong with the job, it must not keep those behind it waiting. */
  standAside(job: GenerationJob): void {
    this.#candidates.standAside(job)
    this.touch()
  }

  gpus(): GpuCount {
    return this.#cluster.gpus()
  }

  /** Of all known Nodes, also of those that are down. */
  totalGpus(): number {
    return this.#cluster.totalGpus
  }

  /** The cluster and its queue as they are now, for whoever explains or forecasts. */
  admissionInput(): AdmissionInput {
    this.#candidates.refresh(this.#facts())
    return this.#input()
  }

  /** How admission would see a job that nobody has created. */
  candidateOf(job: GenerationJob): Candidate | undefined {
    return viewCandidate(this.#options.caches, job, this.#facts())
  }

  stop(): void {
    clearTimeout(this.#timer)
    clearTimeout(this.#recheck)
  }

  #giveBack({ metadata: { uid } }: GenerationJob): void {
    const { place, number: attempt = 0 } = this.#reservations.remove(uid) ?? {}
    if (place?.kind === 'Slot') this.#options.pools.release({ pod: place.podUID, uid, attempt })
  }

  #takeSlot(job: GenerationJob, { number, place }: SlotAttempt): boolean {
    const { uid } = job.metadata
    const { name: model } = job.spec.modelRef
    const loras = loraNamesOf(job)
    const { podUID: pod, instead } = place
    return this.#options.pools.assign({ pod, uid, attempt: number, model, loras, instead })
  }

  /** A job that has just come need not wait for a timer, unless planning is all that is done. */
  #planForOne(): void {
    const { clock } = this.#options
    if (clock.nowMs() - this.#plannedMs < this.#pauseMs()) this.touch()
    else this.#plan()
  }

  #planSafely(): void {
    try {
      this.#plan()
    } catch (error) {
      this.#options.onError(error)
    }
  }

  #plan(): void {
    const { clock } = this.#options
    this.stop()
    this.#timer = undefined
    const startMs = clock.nowMs()
    this.#endReservations()
    this.#past.learnOnce(this.#options.caches)
    this.#candidates.refresh(this.#facts())
    const input = this.#input()
    this.#past.note(input.running, startMs)
    this.#take({ ...input, use: this.#past.use })
    this.#plannedMs = clock.nowMs()
    this.#costMs = this.#plannedMs - startMs
  }

  /** Also when a process was kept from running, or the clock was set, during a plan. */
  #pauseMs(): number {
    return Math.min(REPLAN_MAX_MS, this.#costMs * REPLAN_SHARE)
  }

  #endReservations(): void {
    for (const { job, isLost } of this.#reservations.takeEnded()) {
      this.#candidates.note(keyOf(job))
      if (isLost) this.#options.wake(keyOf(job))
    }
  }

  #take(input: AdmissionInput & ClusterState): void {
    const admission = admit(input)
    const before = this.#places
    this.#places = new Map(admission.starts.map(({ job, place }) => [job.uid, place]))
    this.#turns = admission.turns
    this.#candidates.notePlanned()
    for (const [uid, { kind }] of this.#places) {
      if (before.get(uid)?.kind !== kind) this.#wake(uid)
    }
    this.#tellDemand(input, admission)
    this.#scheduleRecheck(admission)
  }

  #tellDemand(input: AdmissionInput & ClusterState, { kept }: Admission): void {
    const starting = new Set(this.#places.keys())
    const expectedSeconds = (model: string) => this.#past.expectedSeconds(model)
    this.#options.pools.setDemand(demandOf({ ...input, kept, starting, expectedSeconds }))
  }

  #scheduleRecheck({ recheckAtMs }: Admission): void {
    const dueMs = Math.min(recheckAtMs ?? Infinity, this.#reservations.nextEndMs())
    if (dueMs === Infinity) return
    const delayMs = Math.min(RECHECK_MAX_MS, dueMs - this.#options.clock.nowMs())
    this.#recheck = setTimeout(() => this.touch(), Math.max(REPLAN_MS, delayMs))
  }

  #wake(uid: string): void {
    const { caches, wake } = this.#options
    for (const job of caches.generationJobs.listIndexed(indexKeys.uid(uid))) wake(keyOf(job))
  }

  /** Of a job that asks again before any cache shows what it was given; undefined: it has gone. */
  #placeAgain(job: GenerationJob, reserved: ReservedPlace): JobPlace | undefined {
    if (reserved.kind === 'Quota') return this.#toQuota(job)
    if (reserved.kind === 'Node') return { kind: 'Node', nodeName: reserved.nodeName }
    const { name: model } = job.spec.modelRef
    const pod = this.#options.pools.podOf(reserved.podUID)
    const place = slotPlaceIn(pod, { slotModel: reserved.instead ?? model, model })
    if (place === undefined) this.#giveBack(job)
    return place
  }

  #toQuota(job: GenerationJob): JobPlace {
    const queue = this.#options.quotaOf(job)
    return queue === undefined ? waiting : { kind: 'Quota', queue }
  }

  /** A plan of some moments ago still holds: what it gave away fits, and the next one wakes. */
  #resolve(candidate: Candidate): JobPlace {
    const place = this.#places.get(candidate.uid)
    if (place?.kind === 'Node') return place
    if (place?.kind === 'Slot') return this.#slotIn(place, candidate)
    if (place !== undefined) return waiting
    const cause = hopelessnessOf(candidate, this.#cluster.nodes)
    return cause === undefined ? waiting : { kind: 'Queued', cause }
  }

  #slotIn({ pod, slotModel }: SlotPlan, { uid, model }: Candidate): JobPlace {
    const place = slotPlaceIn(this.#options.pools.podOf(pod), { slotModel, model })
    if (place === undefined) this.#lose(uid)
    return place ?? waiting
  }

  /** Its slot is gone, so whatever it gets next wakes it. */
  #lose(uid: string): false {
    this.#places.delete(uid)
    this.touch()
    return false
  }

  #input(): AdmissionInput & ClusterState {
    return {
      ...this.#cluster.read(),
      queue: this.#candidates.queue,
      use: this.#past.use,
      turns: this.#turns,
      settings: defaultAdmissionSettings,
    }
  }

  #facts(): CandidateFacts {
    const { allowCpu, clock, holds } = this.#options
    return {
      allowCpu,
      clusterGpus: this.#cluster.totalGpus,
      nowMs: clock.nowMs(),
      offers: this.#cluster.offers(),
      hasQuota: (job) => this.#options.quotaOf(job) !== undefined,
      mayStart: (job) => {
        const { uid } = job.metadata
        if (this.#reservations.of(uid) !== undefined) return false
        return isReserved(job) || holds.mayBeHeld({ key: keyOf(job), uid })
      },
    }
  }
}
