import type { ObjectStore } from '../../../platform/objects/store.ts'
import type { Condition } from '../../../shared/crd/common.ts'
import type { Output } from '../../../shared/crd/generation-job.ts'
import { parseArtifactKey } from '../../../shared/domain/job-artifact.ts'
import type { StatusFacts } from '../../../shared/domain/job-status.ts'
import { chargeDelivered } from '../../../shared/domain/price.ts'
import type { AccountService, EndOutcome } from '../accounts/service.ts'
import type { AttemptStore } from './attempts.ts'
import type { JobEvents } from './events.ts'
import { keepUntilOf } from './retention.ts'
import type { HoldState, JobRow } from './row.ts'
import { type JobStore, openStates } from './store.ts'

export type FinishDeps = {
  readonly store: JobStore
  readonly accounts: AccountService
  readonly attempts: AttemptStore
  readonly objects: ObjectStore
  readonly events: JobEvents
}

/** How a job ended, as far as its custom resource says. */
export type Ending = StatusFacts & {
  readonly conditions: readonly Condition[]
  readonly attempt: JobRow['attempt']
  readonly startTimeMs: number | null
  readonly completionTimeMs: number
  /** Null: whatever the attempt handed in. */
  readonly outputs: readonly Output[] | null
}

/**
 * Ends a job: checks what was delivered, ends the hold, completes the row, in this order. Each step
 * may be repeated; the first ending of a hold counts, whoever asks again. Null when the row had
 * ended before.
 */
export async function finishJob(
  deps: FinishDeps,
  row: JobRow,
  ending: Ending,
): Promise<JobRow | null> {
  const claimed = ending.outputs ?? (await outputsOf(deps.attempts, row._id, ending.attempt))
  const outputs = await delivered(deps.objects, row._id, claimed)
  const outcome = await endHold(deps.accounts, row, outputs)
  const { state, reason, message, conditions, attempt, startTimeMs, completionTimeMs } = ending
  const finished = await deps.store.change(
    row._id,
    { states: openStates },
    {
      state,
      reason,
      message,
      conditions,
      attempt,
      startTimeMs,
      completionTimeMs,
      keepUntilMs: keepUntilOf(row, completionTimeMs),
      outputs,
      hold: holdStateOf(outcome),
      chargedMicroCredits: outcome.kind === 'Unknown' ? 0 : outcome.chargedMicroCredits,
    },
  )
  if (finished === null) return null
  deps.events.publish({ jobId: finished._id, revision: finished.revision }, finished.owner)
  return finished
}

export function holdStateOf({ kind }: EndOutcome): HoldState {
  return kind === 'Unknown' ? 'None' : kind
}

async function outputsOf(
  attempts: AttemptStore,
  jobId: string,
  attempt: JobRow['attempt'],
): Promise<readonly Output[]> {
  if (attempt === null) return []
  const ref = { jobId, attempt: attempt.number }
  const report = await attempts.findReport(ref)
  return report?.outputs ?? (await attempts.confirmedOutputs(ref))
}

/** Only what lies in the job's own folder with the stated size and digest was delivered. */
async function delivered(
  objects: ObjectStore,
  jobId: string,
  claimed: readonly Output[],
): Promise<readonly Output[]> {
  const found: Output[] = []
  for (const output of claimed) {
    if (parseArtifactKey(output.key)?.jobId !== jobId) continue
    const object = await objects.head(output.key)
    const isEqual = object?.sha256 === output.sha256 && object.sizeBytes === output.sizeBytes
    if (isEqual && !found.some(({ key }) => key === output.key)) found.push(output)
  }
  return found
}

/** Delivered pictures are charged; without any the hold is voided. */
async function endHold(
  accounts: AccountService,
  row: JobRow,
  outputs: readonly Output[],
): Promise<EndOutcome> {
  const images = outputs.filter(({ contentType }) => contentType.startsWith('image/')).length
  if (images === 0) return await accounts.void(row.accountId, row._id)
  return await accounts.settle(row.accountId, row._id, chargeDelivered(row.price, images))
}
