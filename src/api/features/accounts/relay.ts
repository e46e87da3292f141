import { assert } from '../../../shared/assert.ts'
import type { AccountDocument, AccountStore } from './store.ts'

const accountsPerPass = 100

/**
 * Writes the entries of every outbox into the collection, then takes them out: at least once, and
 * exactly once in effect because their ids are unique. Any number of copies may run.
 */
export async function relayOutboxes(store: AccountStore): Promise<number> {
  const accounts = await store.findUnrelayed(accountsPerPass)
  let relayed = 0
  for (const account of accounts) relayed += await relayOne(store, account)
  return relayed
}

async function relayOne(store: AccountStore, { _id, outbox }: AccountDocument): Promise<number> {
  const isWritten = await store.insertEntries(outbox)
  assert(isWritten, `the ledger already has other entries under ids of ${_id}`)
  await store.dropFromOutbox(
    _id,
    outbox.map((entry) => entry._id),
  )
  return outbox.length
}
