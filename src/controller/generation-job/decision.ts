import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Model } from '../../shared/crd/model.ts'
import type { QuotaQueue } from '../kueue/quota-queue.ts'
import type { EndReason } from './checks.ts'
import type { AttemptJobView } from './observed.ts'
import type { SlotAssignment } from './pool-watcher.ts'

/** One idempotent step. Doing it twice, or after somebody else did it, changes nothing more. */
export type Action =
  | {
      readonly kind: 'CreateAttempt'
      readonly job: GenerationJob
      readonly model: Model
      readonly loras: readonly Model[]
      readonly number: number
      readonly gpus: number
      /** The Node that has room for it. */
      readonly nodeName?: string | undefined
      /** Kueue is to let it start. */
      readonly queue?: QuotaQueue | undefined
    }
  | {
      readonly kind: 'DeleteAttempt'
      readonly name: string
      readonly uid: string
      /** Kueue looks after it. */
      readonly hasQuota?: boolean | undefined
    }
  | { readonly kind: 'Assign'; readonly assignment: SlotAssignment }
  | { readonly kind: 'CancelAssignment'; readonly assignment: SlotAssignment }
  | { readonly kind: 'WriteStatus'; readonly patch: object }
  | { readonly kind: 'RecordEvent'; readonly event: EventNote }
  | { readonly kind: 'DeleteJob' }

export type EventNote = {
  readonly type: 'Normal' | 'Warning'
  readonly reason: string
  readonly message: string
}

/** `actions` are done in order; what follows a failed one waits for the next reconcile. */
export type Decision = {
  readonly actions: readonly Action[]
  readonly recheckAfterMs?: number | undefined
  /** Set by the one decision that ends the job. */
  readonly outcome?: EndReason | undefined
}

export function deleteAttempt({ name, uid, quota }: AttemptJobView): Action {
  const deletion = { kind: 'DeleteAttempt', name, uid } as const
  return quota === undefined ? deletion : { ...deletion, hasQuota: true }
}

export const nothing: Decision = { actions: [] }
