import type { Deployment, Node } from '../../platform/kube/resources.ts'
import type { EventNote } from '../../platform/kube/events.ts'
import type { ApplyDraft } from '../../platform/kube/types.ts'
import type { ModelPool } from '../../shared/crd/model-pool.ts'
import type { PoolPod } from './pool-board.ts'
import type { PoolDemand } from './pool-demand.ts'
import type { PoolFacts } from './pool-models.ts'
import type { PoolShape } from './deployment.ts'

/** `Foreign`: an object of that name belongs to somebody else, or to a pool that is gone. */
export type ChildState = 'Absent' | 'Own' | 'Foreign'

/** A template of claims that the pool has made, and that no pod of it refers to. */
export type UnusedTemplate = {
  readonly name: string
  readonly namespace: string
  readonly uid: string
}

/** Everything one decision depends on, gathered before it is made. */
export type PoolObserved = {
  readonly pool: ModelPool
  readonly facts: PoolFacts
  /** Of the namespace; undefined where it belongs to none. */
  readonly department: string | undefined
  readonly nodes: readonly Node[]
  readonly key: ChildState
  readonly deployment:
    | { readonly state: 'Absent' | 'Foreign' }
    | { readonly state: 'Own'; readonly object: Deployment }
  /** Empty while nothing has changed about what the pods refer to. */
  readonly unusedTemplates: readonly UnusedTemplate[]
  readonly pods: readonly PoolPod[]
  readonly demand: PoolDemand
  readonly startupSeconds: number
  readonly nowMs: number
}

/** One step. Each may be repeated, and does nothing when it is done already. */
export type PoolAction =
  /** Without it no pod can be made. */
  | { readonly kind: 'EnsureAccount' }
  | { readonly kind: 'CreateKey' }
  | {
      readonly kind: 'CreateClaimTemplate'
      readonly template: NonNullable<PoolShape['claimTemplate']>
    }
  | { readonly kind: 'DeleteClaimTemplate'; readonly template: UnusedTemplate }
  | { readonly kind: 'SetDeletionCost'; readonly pod: PoolPod; readonly cost: string }
  | { readonly kind: 'ApplyDeployment'; readonly draft: ApplyDraft<Deployment> }
  | { readonly kind: 'Scale'; readonly deployment: Deployment; readonly replicas: number }
  | { readonly kind: 'RecordEvent'; readonly event: Pick<EventNote, 'type' | 'reason' | 'message'> }
  | { readonly kind: 'WriteStatus'; readonly patch: object }

export type PoolDecision = {
  /** In this order, each only when those before it succeeded. */
  readonly actions: readonly PoolAction[]
  /** uids of pods that are to get no more jobs, from this moment on. */
  readonly leaving: readonly string[]
  readonly recheckAfterMs?: number | undefined
}
