import type { Clock } from '../../shared/clock.ts'
import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import { type Caches, indexKeys } from '../caches.ts'
import { STRAY_SLOT_MS } from '../limits.ts'
import type { PoolBoard, PoolPod } from '../model-pool/pool-board.ts'
import type { AttemptOfJob } from '../pool-client.ts'
import { attemptId } from './admission-input.ts'
import { isTerminal } from './eligibility.ts'
import type { SlotAssignment } from './pool-watcher.ts'

export type StraySources = {
  readonly caches: Pick<Caches, 'generationJobs'>
  readonly pools: Pick<PoolBoard, 'pods'>
  readonly clock: Clock
}

/**
 * Finds attempts that run in slots for nobody: their job was deleted, or went on without them,
 * while no controller was there to tell the pod. A cache may be behind, so they must have been
 * strays for a while.
 */
export class StraySlots {
  readonly #sources: StraySources
  #sinceMs: ReadonlyMap<string, number> = new Map()

  constructor(sources: StraySources) {
    this.#sources = sources
  }

  /** Those that nobody has missed for long enough; to be called now and then. */
  find(): SlotAssignment[] {
    const nowMs = this.#sources.clock.nowMs()
    const strays = this.#strays()
    this.#sinceMs = new Map(
      strays.map((stray) => {
        const id = strayId(stray)
        return [id, this.#sinceMs.get(id) ?? nowMs]
      }),
    )
    return strays.filter((stray) => {
      const sinceMs = this.#sinceMs.get(strayId(stray)) ?? nowMs
      return nowMs - sinceMs >= STRAY_SLOT_MS
    })
  }

  #strays(): SlotAssignment[] {
    return this.#sources.pools.pods().flatMap((pod) =>
      (pod.state?.slots ?? []).flatMap(({ job }) => {
        return job === null || this.#isWanted(job, pod.uid) ? [] : asAssignment(pod, job)
      }),
    )
  }

  #isWanted({ uid, attempt }: AttemptOfJob, podUID: string): boolean {
    const [job] = this.#sources.caches.generationJobs.listIndexed(indexKeys.uid(uid))
    return job !== undefined && mayRun(job, { attempt, podUID })
  }
}

/** Two pods may say that they have the same attempt. */
function strayId({ uid, attempt, podUID }: SlotAssignment): string {
  return `${podUID}/${attemptId(uid, attempt)}`
}

/** What the status does not show yet may be on its way. */
function mayRun(job: GenerationJob, run: { readonly attempt: number; readonly podUID: string }) {
  const { number = 0, podUID, outcome } = job.status?.attempt ?? {}
  if (isTerminal(job) || number > run.attempt) return false
  return number < run.attempt || (outcome === undefined && podUID === run.podUID)
}

/** Enough for its end; nobody will ever ask for its beginning. */
function asAssignment(pod: PoolPod, { uid, attempt }: AttemptOfJob): SlotAssignment[] {
  const { namespace, pool, ip, uid: podUID, state } = pod
  if (ip === undefined || state === undefined) return []
  const { runner } = state
  const address = { namespace, pool, ip }
  return [{ uid, attempt, podUID, runner, pod: address, jobId: uid, model: '' }]
}
