import type { Entry } from '../../../shared/domain/account-entry.ts'
import { recipientsOf } from '../../../shared/domain/account-movement.ts'
import { isAppError } from '../../../shared/errors.ts'
import type { AccountDocument, AccountStore } from './store.ts'

export type RelayDeps = {
  readonly store: AccountStore
  /** Takes in what an entry sent to an account; doing it again changes nothing. */
  readonly receive: (accountId: string, sent: Entry) => Promise<void>
}

export type RelayPass = {
  readonly entries: number
  /** When the oldest entry that waited was made; null when none did. */
  readonly oldestMs: number | null
}

const accountsPerPass = 100

/**
 * Empties every outbox: what was sent arrives, the entries go into the collection, then they leave
 * the outbox. At least once, and exactly once in effect because their ids are unique. Any number of
 * copies may run.
 */
export async function relayOutboxes(deps: RelayDeps): Promise<RelayPass> {
  const accounts = await deps.store.findUnrelayed(accountsPerPass)
  const times = accounts.flatMap(({ outbox }) => outbox.map(({ timeMs }) => timeMs))
  const failures: unknown[] = []
  for (const account of accounts) failures.push(...(await relayOne(deps, account)))
  // Thrown last: what cannot arrive must not keep the others waiting.
  if (failures.length > 0) throw failures[0]
  return { entries: times.length, oldestMs: times.length === 0 ? null : Math.min(...times) }
}

/** Why entries could not arrive; they stay in the outbox. */
async function relayOne(
  deps: RelayDeps,
  { _id, outbox }: AccountDocument,
): Promise<readonly unknown[]> {
  const arrived: Entry[] = []
  const failures: unknown[] = []
  for (const entry of outbox) {
    try {
      for (const accountId of recipientsOf(entry)) await deps.receive(accountId, entry)
      arrived.push(entry)
    } catch (error) {
      // The database is away: there is no use in going on.
      if (isAppError(error, 'platform.unavailable')) throw error
      failures.push(error)
    }
  }
  if (await deps.store.insertEntries(arrived)) {
    await deps.store.dropFromOutboxes(new Map([[_id, arrived.map((entry) => entry._id)]]))
    return failures
  }
  return [...failures, new Error(`the ledger already has other entries under ids of ${_id}`)]
}
