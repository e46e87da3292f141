import type { Condition } from '../../../shared/crd/common.ts'
import type {
  AttemptEnd,
  GenerationJobSpec,
  Input,
  Output,
  Parameters,
  Task,
} from '../../../shared/crd/generation-job.ts'
import type { JobPrice } from '../../../shared/domain/price.ts'
import type { OverLimit } from '../../../shared/domain/settings.ts'
import type { Progress } from '../../../shared/wire/internal.ts'
import type { JobState } from '../../../shared/wire/jobs.ts'

/** How the hold of a job stands, as the row knows it; the account document is the truth. */
const holdStates = ['None', 'Held', 'Settled', 'Voided', 'Expired'] as const
export type HoldState = (typeof holdStates)[number]

/** The record of one job: complete without its custom resource. `_id` is the job id. */
export type JobRow = {
  readonly _id: string
  readonly source: 'Api' | 'Kubectl'
  readonly owner: { readonly department: string; readonly user: string | null }
  readonly accountId: string
  readonly task: Task
  readonly model: string
  /** Frozen at hold time: absent ones were filled from the Model, a seed of −1 was drawn. */
  readonly parameters: Parameters
  readonly inputs: readonly Input[]
  readonly priority: number
  /** Absent in rows of earlier releases: the custom resource's default. */
  readonly execution?: GenerationJobSpec['execution']
  /**
   * The owner's limits when the job was made. Null for a job of kubectl, which belongs to no
   * person; absent in rows of earlier releases.
   */
  readonly limits?: {
    readonly overLimit: OverLimit
    readonly runningJobs: number
    readonly queuedJobs: number
    readonly retentionDays: number
  } | null
  /** Whether pictures carry their recipe, as its department wished; absent is true. */
  readonly embedRecipe?: boolean
  readonly state: JobState
  readonly reason: string
  readonly message: string
  readonly conditions: readonly Condition[]
  /** Frozen when the row was made, whatever becomes of the Model's rates. */
  readonly price: JobPrice
  /** Why the job can never run; null when the request is good. */
  readonly refusal: string | null
  readonly hold: HoldState
  readonly chargedMicroCredits: number | null
  /** `uid` is null until the custom resource is known to exist; then it is never made again. */
  readonly resource: {
    readonly namespace: string
    readonly name: string
    readonly uid: string | null
  }
  /** The attempt that the controller named last: who may still report after a deletion. */
  readonly attempt: {
    readonly number: number
    readonly podUID: string | null
    /** Absent while it runs, as far as the custom resource has said. */
    readonly outcome?: AttemptEnd
  } | null
  readonly progress: (Omit<Progress, 'preview'> & { readonly attempt: number }) | null
  readonly outputs: readonly Output[]
  readonly cancelRequested: boolean
  /** True once the custom resource carries `spec.cancel`. */
  readonly cancelSent: boolean
  /** When a complete list first lacked the custom resource. */
  readonly missingTimeMs: number | null
  readonly revision: number
  readonly creationTimeMs: number
  readonly updateTimeMs: number
  readonly startTimeMs: number | null
  readonly completionTimeMs: number | null
  /** When the objects of an ended job are removed; null: never, or they are removed. */
  readonly keepUntilMs?: number | null
  /** Since then `outputs` is empty because its objects were removed. */
  readonly outputsRemovedTimeMs?: number | null
}

export function isTerminal(state: JobState): boolean {
  return state === 'Completed' || state === 'Cancelled' || state === 'Failed'
}
