import { keyOf } from '../../platform/kube/resources.ts'
import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { type Explanation, whyAllWaiting } from '../../shared/domain/admission/explain.ts'
import type {
  ExplainAnswer,
  ExplainedJob,
  ExplainRequest,
  SimulateAnswer,
  SimulateRequest,
} from '../../shared/wire/queue.ts'
import { type Caches, indexKeys } from '../caches.ts'
import type { AdmissionBoard } from '../generation-job/admission-board.ts'
import { attemptsOf } from '../generation-job/admission-input.ts'
import {
  QUEUE_COMPUTATIONS_MAX,
  QUEUE_SHARE,
  SIMULATION_PATIENCE_MS,
  SIMULATIONS_MAX,
} from '../limits.ts'
import type { ControllerMetrics } from '../metrics.ts'
import type { PoolBoard } from '../model-pool/pool-board.ts'
import { RunTimeBook } from '../run-times/run-time-book.ts'
import { openWorkOf, type WorkOf } from '../run-times/work-of.ts'
import { comingSlots } from './coming-slots.ts'
import { ExplainRounds } from './explain-rounds.ts'
import { type Expectation, Forecaster } from './forecaster.ts'
import { GivenEstimates } from './given-estimates.ts'
import { explainOutside, toTime } from './outside-queue.ts'
import { Pace } from './pace.ts'
import { simulate } from './simulate.ts'

/** What the leader says about its queue. Errors: `platform.unavailable` when too many ask. */
export type QueueAnswers = {
  readonly explain: (request: ExplainRequest) => Promise<ExplainAnswer>
  readonly simulate: (request: SimulateRequest) => Promise<SimulateAnswer>
}

export type QueueDeskOptions = {
  readonly caches: Caches
  readonly board: Pick<AdmissionBoard, 'admissionInput' | 'candidateOf'>
  readonly pools: Pick<PoolBoard, 'podsOf' | 'measuredStartupSecondsOf'>
  readonly clock: Clock
  readonly metrics: Pick<ControllerMetrics, 'estimateJudged'>
}

/**
 * Explains and forecasts from the same functions that admit jobs. Memory only: after a restart run
 * times are learned from the jobs that still exist. Nothing of it is written anywhere.
 */
export class QueueDesk implements QueueAnswers {
  readonly #options: QueueDeskOptions
  readonly #workOf: WorkOf
  readonly #book: RunTimeBook
  readonly #forecaster: Forecaster
  readonly #given: GivenEstimates
  readonly #pace: Pace
  /** Of its own, so that whoever simulates keeps no explanation waiting. */
  readonly #simulations: Pace
  readonly #rounds: ExplainRounds

  constructor(options: QueueDeskOptions) {
    const { caches, clock, metrics } = options
    this.#options = options
    this.#workOf = openWorkOf(caches)
    this.#book = new RunTimeBook(this.#workOf)
    this.#forecaster = new Forecaster(clock, () => this.#book.times)
    this.#given = new GivenEstimates(metrics.estimateJudged)
    this.#pace = new Pace({ clock, share: QUEUE_SHARE, waitingMax: QUEUE_COMPUTATIONS_MAX })
    this.#simulations = new Pace({
      clock,
      share: QUEUE_SHARE,
      waitingMax: SIMULATIONS_MAX,
      patienceMs: SIMULATION_PATIENCE_MS,
    })
    this.#rounds = new ExplainRounds({
      clock,
      pace: this.#pace,
      explain: (uids) => this.#explain(uids),
    })
  }

  /** From the jobs that ended before this process began to look. */
  learn(): void {
    const jobs = this.#options.caches.generationJobs.list()
    this.#book.learn(jobs.map((job) => [keyOf(job), job]))
  }

  async explain({ uids }: ExplainRequest): Promise<ExplainAnswer> {
    return { jobs: await this.#rounds.ask(uids) }
  }

  async simulate(request: SimulateRequest): Promise<SimulateAnswer> {
    return await this.#simulations.do(() => this.#simulate(request))
  }

  /** The job with this key has changed or is gone. */
  noteJob(key: string): void {
    const job = this.#options.caches.generationJobs.get(key)
    this.#given.see(key, job)
    this.#book.note(key, job)
  }

  stop(): void {
    this.#pace.stop()
    this.#simulations.stop()
  }

  #explain(uids: readonly string[]): ReadonlyMap<string, ExplainedJob> {
    const { board } = this.#options
    const input = board.admissionInput()
    const explained = whyAllWaiting(input, uids)
    const workOf = (uid: string) => this.#workOfUid(uid)
    const wish = { uids: [...explained.keys()], comingSlots: this.#comingSlots(), workOf }
    const expected = this.#forecaster.expect(input, wish)
    return new Map(
      uids.flatMap((uid) => {
        const job = this.#explainOne(uid, explained.get(uid), expected.get(uid))
        return job === undefined ? [] : [[uid, job] as const]
      }),
    )
  }

  #explainOne(
    uid: string,
    explained: Explanation | undefined,
    expected: Expectation | undefined,
  ): ExplainedJob | undefined {
    const job = this.#jobOf(uid)
    if (job === undefined) return undefined
    if (explained === undefined) return this.#explainOutside(job)
    const nowMs = this.#options.clock.nowMs()
    if (expected !== undefined) {
      this.#given.note(keyOf(job), uid, { givenMs: nowMs, startMs: expected.startMs })
    }
    return { uid, ...explained, ...toTimes(expected) }
  }

  #explainOutside(job: GenerationJob): ExplainedJob | undefined {
    const { caches, clock } = this.#options
    const attempts = attemptsOf(caches, job.metadata.uid)
    const { times } = this.#book
    return explainOutside({ job, attempts, work: this.#workOf(job), times, nowMs: clock.nowMs() })
  }

  #simulate(request: SimulateRequest): SimulateAnswer {
    const { board, clock } = this.#options
    return simulate(request, {
      input: board.admissionInput(),
      candidateOf: (job) => board.candidateOf(job),
      expect: (input, { uids, workOf }) =>
        this.#forecaster.expect(input, {
          uids,
          comingSlots: this.#comingSlots(),
          workOf: (uid) => workOf(uid) ?? this.#workOfUid(uid),
        }),
      nowMs: clock.nowMs(),
    })
  }

  #comingSlots() {
    const { caches, pools, clock } = this.#options
    return comingSlots({ caches, pools, nowMs: clock.nowMs() })
  }

  #workOfUid(uid: string): number | undefined {
    const job = this.#jobOf(uid)
    return job === undefined ? undefined : this.#workOf(job)
  }

  #jobOf(uid: string): GenerationJob | undefined {
    return this.#options.caches.generationJobs.listIndexed(indexKeys.uid(uid))[0]
  }
}

function toTimes(expected: Expectation | undefined) {
  const { startMs, endMs = null, basis = 'Unknown' } = expected ?? {}
  return {
    estimatedStartTime: startMs === undefined ? null : toTime(startMs),
    estimatedEndTime: endMs === null ? null : toTime(endMs),
    basis,
  } as const
}
