import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { ESTIMATES_MAX } from '../limits.ts'
import type { ControllerMetrics } from '../metrics.ts'
import { type GivenEstimate, judgeEstimate } from './estimate-verdict.ts'

/**
 * The first estimate that anybody was given about each job, until it starts: then it shows how
 * good it was. Later estimates are easier, so they do not count. Memory only.
 */
export class GivenEstimates {
  readonly #judged: ControllerMetrics['estimateJudged']
  /** By key of the job; the oldest is forgotten when there are too many. */
  readonly #given = new Map<string, GivenEstimate & { readonly uid: string }>()

  constructor(judged: ControllerMetrics['estimateJudged']) {
    this.#judged = judged
  }

  note(key: string, uid: string, estimate: GivenEstimate): void {
    if (this.#given.get(key)?.uid === uid) return
    this.#given.set(key, { ...estimate, uid })
    const [oldest] = this.#given.keys()
    if (this.#given.size > ESTIMATES_MAX && oldest !== undefined) this.#given.delete(oldest)
  }

  /** The job as it is now; undefined when it is gone. One that ends without a start says nothing. */
  see(key: string, job: GenerationJob | undefined): void {
    const given = this.#given.get(key)
    if (given === undefined) return
    const { startTime, completionTime } = job?.status ?? {}
    const isSame = job?.metadata.uid === given.uid
    if (isSame && startTime === undefined && completionTime === undefined) return
    this.#given.delete(key)
    if (isSame && startTime !== undefined) this.#judged(judgeEstimate(given, Date.parse(startTime)))
  }
}
