import type { Entry } from '../../../shared/domain/account-entry.ts'
import { recipientsOf } from '../../../shared/domain/account-movement.ts'
import { isAppError } from '../../../shared/errors.ts'
import type { AccountDocument, AccountStore } from './store.ts'

export type RelayDeps = {
  readonly store: AccountStore
  /** Takes in what an entry sent to an account; doing it again changes nothing. */
  readonly receive: (accountId: string, sent: Entry) => Promise<void>
}

const accountsPerPass = 100
/** One account may be too busy to receive; several in a row mean that the database is away. */
const unavailableMax = 3

/**
 * Empties outboxes, the oldest first: what was sent arrives, the entries go into the collection,
 * then they leave the outbox. At least once, and exactly once in effect because their ids are
 * unique. Any number of copies may run. What cannot arrive keeps nobody waiting; the first of such
 * faults is thrown in the end.
 */
export async function relayOutboxes(deps: RelayDeps): Promise<void> {
  const accounts = await deps.store.findUnrelayed(accountsPerPass)
  const faults: unknown[] = []
  for (const account of accounts) {
    faults.push(...(await relayOne(deps, account)))
    const last = faults.slice(-unavailableMax)
    if (last.length === unavailableMax && last.every(isUnavailable)) break
  }
  if (faults.length > 0) throw faults[0]
}

function isUnavailable(fault: unknown): boolean {
  return isAppError(fault, 'platform.unavailable')
}

/** Why entries could not arrive; they stay in the outbox. */
async function relayOne(
  { store, receive }: RelayDeps,
  { _id, outbox }: AccountDocument,
): Promise<readonly unknown[]> {
  const arrived: Entry[] = []
  const faults: unknown[] = []
  for (const entry of outbox) {
    try {
      for (const accountId of recipientsOf(entry)) await receive(accountId, entry)
      arrived.push(entry)
    } catch (error) {
      faults.push(error)
      if (isUnavailable(error)) break
    }
  }
  if (!(await store.insertEntries(arrived))) {
    return [...faults, new Error(`the ledger already has other entries under ids of ${_id}`)]
  }
  if (arrived.length > 0) {
    await store.dropFromOutboxes(new Map([[_id, arrived.map((entry) => entry._id)]]))
  }
  return faults
}
