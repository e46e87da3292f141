import type { GenerationJob } from '../../shared/crd/generation-job.ts'
import type { Model } from '../../shared/crd/model.ts'
import type { EndReason } from './checks.ts'
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
    }
  | { readonly kind: 'DeleteAttempt'; readonly name: string; readonly uid: string }
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

export const nothing: Decision = { actions: [] }
