import type { LeaderTask } from '../../people.ts'
import { type ItemLog, serveItem } from '../../serve-item.ts'
import { completeApproval } from './complete.ts'
import { type CreditRequestParts, settleRow } from './parts.ts'

/** Whoever approves is done long before. */
const stuckMs = 10_000
const everyMs = 5000
const finishedMax = 100

/**
 * Finishes what crashes left: approvals between their decision and their movement, and what the
 * changes of requests still owe to the audit log and to people.
 */
export async function finishRequests(parts: CreditRequestParts, log: ItemLog): Promise<void> {
  const { requests, clock } = parts
  for (const row of await requests.findApproving(clock.nowMs() - stuckMs, finishedMax)) {
    await serveItem({ id: row._id, log }, async () => await completeApproval(parts, row))
  }
  for (const row of await requests.findUnrelayed(finishedMax)) {
    await parts.trail.relay(requests, row)
  }
  for (const row of await requests.findWithNotices(finishedMax)) {
    await serveItem({ id: row._id, log }, async () => await settleRow(parts, row))
  }
}

export function finishRequestsTask(parts: CreditRequestParts, log: ItemLog): LeaderTask {
  const run = async () => await finishRequests(parts, log)
  return { name: 'finish-credit-requests', everyMs, run }
}
