import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { RunningJob } from '../../shared/domain/admission/input.ts'
import {
  addUses,
  emptyUse,
  pruneUse,
  type Spell,
  type Use,
} from '../../shared/domain/admission/use.ts'
import type { Caches } from '../caches.ts'
import { EXPECTED_SECONDS, RUN_TIME_SHARE, USE_HALF_LIFE_MS, USE_PRUNE_MS } from '../limits.ts'

/** What has run: how much everybody has used of late, and how long jobs of a model take. */
export class PastRuns {
  #use = emptyUse(USE_HALF_LIFE_MS)
  #running: ReadonlyMap<string, RunningJob> = new Map()
  #prunedMs = 0
  #hasLearned = false
  /** By model. A moving mean, so that a change of the model shows soon. */
  readonly #meanSeconds = new Map<string, number>()

  get use(): Use {
    return this.#use
  }

  /** The first time: what ended before this process began to look. */
  learnOnce({ generationJobs, models }: Pick<Caches, 'generationJobs' | 'models'>): void {
    if (this.#hasLearned) return
    this.#hasLearned = true
    const gpusOf = (model: string) => models.get(model)?.spec.resources.gpus ?? 0
    const runs = generationJobs.list().flatMap((job) => endedRunOf(job, gpusOf))
    this.#use = addUses(this.#use, runs)
  }

  /** Whatever ran the last time and does not any more has ended now. */
  note(running: readonly RunningJob[], nowMs: number): void {
    // What a cache says of the beginning is in whole seconds, and may come late.
    const used = running.filter(({ place }) => place.kind !== 'Quota')
    const begun = used.map((run) => this.#running.get(run.uid) ?? run)
    const now = new Map(begun.map((run) => [run.uid, run]))
    const ended = [...this.#running.values()].filter(({ uid }) => !now.has(uid))
    const spells = ended.map((run) => ({ ...run, endMs: nowMs }))
    if (spells.length > 0) this.#use = addUses(this.#use, spells)
    for (const spell of spells) this.#learnMean(spell)
    this.#running = now
    if (nowMs - this.#prunedMs < USE_PRUNE_MS) return
    this.#prunedMs = nowMs
    this.#use = pruneUse(this.#use, nowMs)
  }

  /**
   * How long a job of this model takes a place, however it ends, by our own clock. Forecasts ask
   * run-time-book.ts, which knows completed runs only, in whole seconds, by the work they did.
   */
  expectedSeconds(model: string): number {
    return this.#meanSeconds.get(model) ?? EXPECTED_SECONDS
  }

  #learnMean({ model, startMs, endMs }: RunningJob & Spell): void {
    const seconds = Math.max(0, endMs - startMs) / 1000
    const before = this.#meanSeconds.get(model) ?? seconds
    this.#meanSeconds.set(model, before + (seconds - before) * RUN_TIME_SHARE)
  }
}

/** The runs of a job together, at its end: the pauses between them are short. */
function endedRunOf({ spec, status }: GenerationJob, gpusOf: (model: string) => number): Spell[] {
  const { activeSeconds, completionTime, retryTime } = status ?? {}
  const endTime = completionTime ?? retryTime
  if (activeSeconds === undefined || endTime === undefined) return []
  const endMs = Date.parse(endTime)
  const { department, user } = spec.owner
  const gpus = gpusOf(spec.modelRef.name)
  return [{ department, user, gpus, startMs: endMs - activeSeconds * 1000, endMs }]
}
