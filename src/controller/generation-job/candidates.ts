import { keyOf } from '../../platform/kube/resources.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { type Candidate, JobQueue } from '../../shared/domain/admission/queue.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { type CandidateFacts, viewCandidate } from './admission-input.ts'

export type CandidatesOptions = {
  readonly caches: Pick<Caches, 'generationJobs' | 'models' | 'jobs' | 'pods'>
  readonly onError: (error: unknown) => void
}

/** What of the facts concerns every job at once. */
type Cluster = Pick<CandidateFacts, 'allowCpu' | 'clusterGpus' | 'offers'>

/**
 * The queue of admission, kept up to date one job at a time: only jobs of which something has
 * changed are looked at again.
 */
export class Candidates {
  readonly queue = new JobQueue()
  readonly #options: CandidatesOptions
  readonly #changed = new Set<string>()
  /** Of the jobs that wait or stand aside, by key: their objects may be gone the next time. */
  readonly #uids = new Map<string, string>()
  /** Jobs whose reconcile failed: they stand aside until they ask again. */
  readonly #aside = new Set<string>()
  /** Jobs that came since the last plan. */
  readonly #fresh = new Set<string>()
  #cluster = ''

  constructor(options: CandidatesOptions) {
    this.#options = options
  }

  /** The job with this key, or something that it depends on, may have changed. */
  note(key: string): void {
    this.#changed.add(key)
  }

  /** What decides on the shape of every job has changed. */
  noteAll(): void {
    const { generationJobs } = this.#options.caches
    for (const job of generationJobs.listIndexed(indexKeys.open)) this.note(keyOf(job))
  }

  noteModel(name: string): void {
    const { generationJobs } = this.#options.caches
    for (const job of generationJobs.listIndexed(indexKeys.model(name))) this.note(keyOf(job))
  }

  /** Whatever is wrong with the job, it must not keep those behind it waiting. */
  standAside(job: GenerationJob): void {
    const { uid } = job.metadata
    this.#aside.add(uid)
    this.#uids.set(keyOf(job), uid)
    this.queue.remove(uid)
  }

  /** Looks again at this one job, which asks for its place. */
  ask(job: GenerationJob, facts: CandidateFacts): Candidate | undefined {
    this.#aside.delete(job.metadata.uid)
    this.#take(keyOf(job), job, facts)
    return this.queue.get(job.metadata.uid)
  }

  /** Looks again at every job that may have changed. */
  refresh(facts: CandidateFacts): void {
    if (this.#hasOtherCluster(facts)) this.noteAll()
    const { generationJobs } = this.#options.caches
    for (const key of this.#changed) this.#take(key, generationJobs.get(key), facts)
  }

  /** Whether the last plan did not know the job. */
  isFresh(uid: string): boolean {
    return this.#fresh.has(uid)
  }

  /** A plan has seen them all. */
  notePlanned(): void {
    this.#fresh.clear()
  }

  #take(key: string, job: GenerationJob | undefined, facts: CandidateFacts): void {
    this.#changed.delete(key)
    const before = this.#uids.get(key)
    const uid = job?.metadata.uid
    if (before !== undefined && before !== uid) this.#forget(key, before)
    if (job === undefined || uid === undefined || this.#aside.has(uid)) return
    const candidate = this.#view(job, facts)
    if (candidate === undefined) return this.#forget(key, uid)
    if (this.queue.get(uid) === undefined) this.#fresh.add(uid)
    this.#uids.set(key, uid)
    this.queue.put(candidate)
  }

  /** One object that cannot be understood must not stop the queue. */
  #view(job: GenerationJob, facts: CandidateFacts): Candidate | undefined {
    try {
      return viewCandidate(this.#options.caches, job, facts)
    } catch (error) {
      this.#options.onError(error)
      return undefined
    }
  }

  #forget(key: string, uid: string): void {
    this.#uids.delete(key)
    this.#aside.delete(uid)
    this.#fresh.delete(uid)
    this.queue.remove(uid)
  }

  /** Whether there are GPUs at all, and which pools, decides on the shape of every job. */
  #hasOtherCluster({ allowCpu, clusterGpus, offers }: Cluster): boolean {
    const now = JSON.stringify([
      allowCpu && clusterGpus === 0,
      offers.map(({ name, models }) => [name, models]),
    ])
    const before = this.#cluster
    this.#cluster = now
    return before !== now
  }
}
