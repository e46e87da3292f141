import type { LeaderTask } from '../../people.ts'
import { type ItemLog, serveItem } from '../../serve-item.ts'
import { pagesById } from '../../tasks/pages.ts'
import { hasLeft } from '../accounts/leave.ts'
import { endRequest } from './decide.ts'
import { auditOf, type CreditRequestParts } from './parts.ts'
import type { CreditRequestRow, RequestChange } from './store.ts'

const name = 'end-requests-of-leavers'

/** Ends what members asked of a department that they have left: nobody can give it any more. */
export async function endRequestsOfLeavers(parts: CreditRequestParts, log: ItemLog): Promise<void> {
  for await (const rows of pagesById(parts.requests.pageWaiting)) {
    for (const row of await findLeft(parts, rows)) {
      const end = async () => await endRequest(parts, row, withdrawalOf(parts, row))
      await serveItem({ id: row._id, log }, end)
    }
  }
}

export function endRequestsOfLeaversTask(parts: CreditRequestParts, log: ItemLog): LeaderTask {
  return { name, everyMs: 60_000, run: async () => await endRequestsOfLeavers(parts, log) }
}

async function findLeft(
  { users }: Pick<CreditRequestParts, 'users'>,
  rows: readonly CreditRequestRow[],
): Promise<readonly CreditRequestRow[]> {
  const people = await users.findMany([...new Set(rows.map(({ owner }) => owner.user))])
  const byId = new Map(people.map((person) => [person._id, person]))
  return rows.filter(({ owner }) => hasLeft(byId.get(owner.user) ?? null, owner.department))
}

function withdrawalOf(parts: CreditRequestParts, row: CreditRequestRow): RequestChange {
  const reason = 'The person left the department.'
  const nowMs = parts.clock.nowMs()
  const action = 'credits.request_withdrawn'
  return {
    state: 'Withdrawn',
    decision: { by: null, timeMs: nowMs, microCredits: null, expiresMs: null, reason },
    nowMs,
    audit: auditOf(parts, { by: name, action, after: { reason } }, row),
  }
}
