import { continueAccept, isRefusal } from '../features/jobs/accept.ts'
import { dispatchJob, type DispatchDeps, sendCancel } from '../features/jobs/dispatch.ts'
import type { JobRow } from '../features/jobs/row.ts'
import { eachById } from './pages.ts'

export type SweepDeps = DispatchDeps & {
  readonly onError: (error: unknown, jobId: string) => void
}

/** A request may be on its way for this long before somebody else finishes it. */
const sweepAfterMs = 10_000

/**
 * Finishes what a crash left between the row and the custom resource, and takes wishes to cancel
 * where they did not arrive. One bad row does not stop the others.
 */
export async function sweepOnce(deps: SweepDeps): Promise<void> {
  const beforeMs = deps.clock.nowMs() - sweepAfterMs
  const undispatched = eachById((page) => deps.store.findUndispatched(beforeMs, page))
  for await (const row of undispatched) await attempt(deps, row, finishAccept)
  for await (const row of eachById(deps.store.findUnsentCancels)) {
    await attempt(deps, row, sendCancel)
  }
}

type Step = (deps: SweepDeps, row: JobRow) => Promise<void>

async function attempt(deps: SweepDeps, row: JobRow, step: Step): Promise<void> {
  try {
    await step(deps, row)
  } catch (error) {
    deps.onError(error, row._id)
  }
}

async function finishAccept(deps: SweepDeps, row: JobRow): Promise<void> {
  try {
    const accepted = await continueAccept(deps, row)
    await dispatchJob(deps, accepted._id)
  } catch (error) {
    // Refused for good: continueAccept has taken the row away, and nobody waits for an answer.
    if (isRefusal(error)) return
    throw error
  }
}
