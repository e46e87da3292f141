import type { ObjectStore } from '../../../platform/objects/store.ts'
import type { Condition } from '../../../shared/crd/common.ts'
import { deliversNothing, type Output } from '../../../shared/crd/generation-job.ts'
import { parseArtifactKey } from '../../../shared/domain/job-artifact.ts'
import type { StatusFacts } from '../../../shared/domain/job-status.ts'
import { chargeFor } from '../../../shared/domain/price.ts'
import type { AccountService, EndOutcome } from '../accounts/service.ts'
import { type AttemptStore, readAttempt } from './attempts.ts'
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
  /** Null where it was deleted: whatever the attempt handed in. */
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
  const claimed = await outputsOf(deps.attempts, row._id, ending)
  const outputs = await delivered(deps.objects, row._id, claimed)
  const outcome = await endHold(deps, row, { ending, outputs })
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
  { attempt, outputs }: Ending,
): Promise<readonly Output[]> {
  if (deliversNothing(attempt?.outcome)) return []
  if (outputs !== null) return outputs
  if (attempt === null) return []
  return (await readAttempt(attempts, { jobId, attempt: attempt.number }, 0)).outputs
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

type Ended = { readonly ending: Ending; readonly outputs: readonly Output[] }

/** What was done is charged; when nothing was, the hold is voided. */
async function endHold(deps: FinishDeps, row: JobRow, ended: Ended): Promise<EndOutcome> {
  const images = ended.outputs.filter(({ contentType }) => contentType.startsWith('image/')).length
  const stepsDone = await chargedSteps(deps.attempts, row, ended.ending)
  const microCredits = chargeFor(row.price, { images, stepsDone })
  const { accountId, _id: jobId } = row
  if (images === 0 && microCredits === 0) return await deps.accounts.void(accountId, jobId)
  return await deps.accounts.settle(accountId, jobId, microCredits)
}

/**
 * Model calls that count beyond delivered pictures: those of the attempt that its owner's cancel
 * stopped. Nothing is due where the job failed, or where its last attempt was suspended, failed or
 * was lost: an earlier attempt's calls never count.
 */
async function chargedSteps(
  attempts: AttemptStore,
  { _id: jobId, progress }: JobRow,
  { state, attempt }: Ending,
): Promise<number> {
  if (state !== 'Cancelled' || attempt === null) return 0
  const { number, outcome } = attempt
  if (outcome !== undefined && outcome !== 'Cancelled') return 0
  // Absent for a deleted custom resource whose attempt ran when it was seen last: as for the
  // controller, it was lost when it left no report.
  const isSeen = outcome !== undefined && progress?.attempt === number
  const stepsSeen = isSeen ? progress.stepsDone : 0
  const { report, stepsDone } = await readAttempt(attempts, { jobId, attempt: number }, stepsSeen)
  // It may have failed in the moment of the cancel.
  return report === null || report.reason === 'Cancelled' ? stepsDone : 0
}
