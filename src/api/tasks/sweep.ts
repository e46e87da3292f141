import { continueAccept, isRefusal } from '../features/jobs/accept.ts'
import { dispatchJob, type DispatchDeps, sendCancel } from '../features/jobs/dispatch.ts'
import type { JobRow } from '../features/jobs/row.ts'
import { serveItem, type ItemLog } from '../serve-item.ts'
import { eachById } from './pages.ts'

export type SweepDeps = DispatchDeps & { readonly log: ItemLog }

/** A request may be on its way for this long before somebody else finishes it. */
const sweepAfterMs = 10_000

/**
 * Finishes what a crash left between the row and the custom resource, and takes wishes to cancel
 * where they did not arrive. One bad row does not stop the others.
 */
export async function sweepOnce(deps: SweepDeps): Promise<void> {
  const beforeMs = deps.clock.nowMs() - sweepAfterMs
  const undispatched = eachById((page) => deps.store.findUndispatched(beforeMs, page))
  const { log } = deps
  for await (const row of undispatched) {
    await serveItem({ id: row._id, log }, async () => await finishAccept(deps, row))
  }
  for await (const row of eachById(deps.store.findUnsentCancels)) {
    await serveItem({ id: row._id, log }, async () => await sendCancel(deps, row))
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
