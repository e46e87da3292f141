import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Model } from '../../shared/crd/model.ts'
import type { Place } from '../../shared/domain/admission/plan.ts'
import type { Resources } from '../../shared/domain/admission/resources.ts'
import type { AttemptReport, Hold, Settlement } from '../../shared/wire/internal.ts'
import type { Answer } from '../api-client.ts'

/** The batch/v1 Job of one attempt, reduced to what decisions need. */
export type AttemptJobView = {
  readonly name: string
  readonly uid: string
  readonly createdTime: string
  readonly deleting: boolean
  /** The Job controller has given up or is done: no pod of it will start any more. */
  readonly finished: boolean
  readonly request: Resources
}

export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown'

export type PodView = {
  readonly name: string
  readonly uid: string
  readonly nodeName?: string | undefined
  readonly phase: PodPhase
  readonly deleting: boolean
  readonly createdTime: string
  /** When the container started, also after it ended. */
  readonly startedTime?: string | undefined
  readonly exitCode?: number | undefined
  readonly outOfMemory: boolean
  /** Evicted, preempted, or its Node was lost. */
  readonly disrupted: boolean
  readonly request: Resources
  /** Why it does not run yet. */
  readonly waiting?: { readonly reason: string; readonly message: string } | undefined
}

export type AttemptView = {
  readonly number: number
  readonly job?: AttemptJobView | undefined
  readonly pods: readonly PodView[]
}

/** Everything one decision depends on, gathered before it is made. */
export type Observed = Facts & { readonly place: Place }

/** All but the place, which is taken last: it must be as new as the decision. */
export type Facts = {
  readonly job: GenerationJob
  readonly model?: Model | undefined
  /** In the order of `spec.parameters.loras`. */
  readonly loras: readonly (Model | undefined)[]
  /** Ascending by number. */
  readonly attempts: readonly AttemptView[]
  /** The API server itself, not a cache, says that nothing of the current attempt is left. */
  readonly confirmedGone: boolean
  readonly hold?: HoldAnswer | undefined
  readonly report?: Answer<AttemptReport> | undefined
  readonly settlement?: Answer<Settlement> | undefined
  /** GPUs the whole cluster has, also on Nodes that are down. */
  readonly clusterGpus: number
  readonly nowMs: number
}

/** What the api said about the hold, and when it is worth asking again. */
export type HoldAnswer = { readonly answer: Answer<Hold>; readonly askAgainMs: number }

export function isPodTerminal(pod: PodView): boolean {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed'
}
