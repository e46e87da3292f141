import type { LeaderTask } from '../../people.ts'
import { type ItemLog, serveItem } from '../../serve-item.ts'
import { completeApproval, findMovements, noteApproval } from './complete.ts'
import { type CreditRequestParts, settleRow } from './parts.ts'

/** Whoever approves or asks is done long before. */
const stuckMs = 10_000
const everyMs = 5000
const finishedMax = 100

/**
 * Finishes what crashes left: requests that nobody counted, approvals between their decision and
 * their movement, movements that came late, and what changes owe to the audit log and to people.
 */
export async function finishRequests(parts: CreditRequestParts, log: ItemLog): Promise<void> {
  const { requests, clock } = parts
  const stuck = { beforeMs: clock.nowMs() - stuckMs, limit: finishedMax }
  for (const { _id } of await requests.findStuck('Asking', stuck)) await requests.removeAsking(_id)
  for (const row of await requests.findStuck('Approving', stuck)) {
    await serveItem({ id: row._id, log }, async () => await completeApproval(parts, row))
  }
  await noteLateMovements(parts, log)
  for (const row of await requests.findUnrelayed(finishedMax)) {
    await parts.trail.relay(requests, row)
  }
  for (const row of await requests.findWithNotices(finishedMax)) {
    await serveItem({ id: row._id, log }, async () => await settleRow(parts, row))
  }
}

/** Two queries for all of them. */
async function noteLateMovements(parts: CreditRequestParts, log: ItemLog): Promise<void> {
  const rows = await parts.requests.findTakenBack(parts.clock.nowMs(), finishedMax)
  const movements = await findMovements(parts, rows)
  for (const row of rows) {
    const moved = movements.get(row._id)
    if (moved === undefined) continue
    await serveItem({ id: row._id, log }, async () => await noteApproval(parts, row, moved))
  }
}

export function finishRequestsTask(parts: CreditRequestParts, log: ItemLog): LeaderTask {
  const run = async () => await finishRequests(parts, log)
  return { name: 'finish-credit-requests', everyMs, run }
}
