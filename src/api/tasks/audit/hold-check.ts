import type { AccountDocument } from '../../features/accounts/store.ts'
import { isTerminal } from '../../features/jobs/row.ts'
import { eachById } from '../pages.ts'
import { type Check, collector, type Found, inGroups } from './check.ts'
import type { AuditStore } from './store.ts'

/** Accounts with all their holds may be large. */
const accountsPerGroup = 50
const holdsPerQuery = 500

/**
 * Open holds against the rows of their jobs. Costs one read of all accounts and one of the rows of
 * open holds, however few are new: both are bounded by what is open.
 */
export function openHoldCheck(store: AuditStore): Check {
  const all = async () => {
    const { found, add } = collector()
    await inGroups(eachById(store.accounts), accountsPerGroup, async (accounts) => {
      add(await compareHolds(store, accounts))
    })
    return found
  }
  return {
    name: 'holds',
    all,
    changed: all,
    again: async (ids) => await compareHolds(store, await store.accountsById(ids)),
    checked: () => ({}),
  }
}

async function compareHolds(
  store: AuditStore,
  accounts: readonly AccountDocument[],
): Promise<readonly Found[]> {
  const holds = accounts.flatMap((account) =>
    account.holds.map(({ jobId }) => ({ jobId, subject: account._id })),
  )
  const { found, add } = collector()
  for (let start = 0; start < holds.length; start += holdsPerQuery) {
    const some = holds.slice(start, start + holdsPerQuery)
    const rows = await store.rowsById(some.map(({ jobId }) => jobId))
    const states = new Map(rows.map(({ _id, state }) => [_id, state]))
    add(
      some.flatMap(({ jobId: id, subject }) => {
        const state = states.get(id)
        if (state !== undefined && !isTerminal(state)) return []
        const message = state === undefined ? 'there is no row' : 'the job has ended'
        return [{ subject, difference: { kind: 'OrphanHold', id, message } } as const]
      }),
    )
  }
  return found
}
