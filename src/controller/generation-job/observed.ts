import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Model } from '../../shared/crd/model.ts'
import type { Resources } from '../../shared/domain/admission/resources.ts'
import type { AttemptReport, Hold, Settlement } from '../../shared/wire/internal.ts'
import type { Answer } from '../api-client.ts'
import type { QuotaQueue } from '../kueue/quota-queue.ts'
import type { WorkloadView } from '../kueue/workload.ts'
import type { PoolPodAddress } from '../pool-client.ts'
import type { PoolAnswers } from './pool-watcher.ts'

/** The batch/v1 Job of one attempt, reduced to what decisions need. */
export type AttemptJobView = {
  readonly name: string
  readonly uid: string
  readonly createdTime: string
  readonly deleting: boolean
  /** The Job controller has given up or is done: no pod of it will start any more. */
  readonly finished: boolean
  readonly request: Resources
  /** The Node that was chosen for its pod. */
  readonly plannedName?: string | undefined
  /** Of its owner, by its label. */
  readonly department?: string | undefined
  /** Kueue decides when it may have a pod. */
  readonly quota?: JobQuota | undefined
}

export type JobQuota = {
  /** It may not have a pod now. */
  readonly suspended: boolean
  /** Since when it may; absent until the Job controller has taken notice. */
  readonly resumedTime?: string | undefined
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
  /** Of its owner, by its label. */
  readonly department?: string | undefined
  /** Its packs are on their way. */
  readonly fetching?: boolean | undefined
  /** Why it does not run yet. */
  readonly waiting?: { readonly reason: string; readonly message: string } | undefined
}

/** An attempt in a slot of a pool pod, which nobody has drawn conclusions from yet. */
export type PooledView = {
  readonly podName: string
  readonly podUID: string
  readonly runner: string
  /** Absent while the caches do not show the pod. */
  readonly address?: PoolPodAddress | undefined
  /**
   * `Ended`: it is terminal. `Doubtful`: as far as the caches know there is no such pod, or no
   * process in it, which only the API server can confirm.
   */
  readonly pod: 'Runs' | 'Doubtful' | 'Ended'
  /** Undefined while nobody asks the pod: after a restart of the controller. */
  readonly answers?: PoolAnswers | undefined
}

/** An attempt has a Job and pods of its own, or a slot in a pool pod. */
export type AttemptView = {
  readonly number: number
  readonly job?: AttemptJobView | undefined
  readonly pods: readonly PodView[]
  readonly pooled?: PooledView | undefined
}

/** A free slot of a pool pod that is kept for the job. */
export type SlotPlace = {
  readonly pod: PoolPodAddress
  readonly podName: string
  readonly podUID: string
  readonly nodeName?: string | undefined
  /** The process that answers there now. */
  readonly runner: string
  /** The model that the slot is to give up; undefined where it has the job's, or none. */
  readonly instead?: string | undefined
}

/** Where the next attempt may start, or why it has to wait. */
export type JobPlace =
  /** `nodeName`: the one that has room for it. */
  | { readonly kind: 'Node'; readonly nodeName?: string | undefined }
  | { readonly kind: 'Slot'; readonly slot: SlotPlace }
  /** In a pod of its own, as soon as a queue of Kueue lets it. */
  | { readonly kind: 'Quota'; readonly queue: QuotaQueue }
  /** `TooLarge`: no Node there is could ever hold it. `NoPool`: no pool serves it. */
  | { readonly kind: 'Queued'; readonly cause: 'Turn' | 'TooLarge' | 'NoPool' }

/** Everything one decision depends on, gathered before it is made. */
export type Observed = Facts & { readonly place: JobPlace }

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
  readonly kueue?: KueueFacts | undefined
  /** GPUs the whole cluster has, also on Nodes that are down. */
  readonly clusterGpus: number
  readonly nowMs: number
}

/** What Kueue has to do with the job. */
export type KueueFacts = {
  readonly isServed: boolean
  /** The queue that the next attempt would go through. */
  readonly queue?: QuotaQueue | undefined
  /** Of the current attempt. */
  readonly workload?: WorkloadView | undefined
}

/** What the api said about the hold, and when it is worth asking again. */
export type HoldAnswer = { readonly answer: Answer<Hold>; readonly askAgainMs: number }

export function isPodTerminal(pod: PodView): boolean {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed'
}
