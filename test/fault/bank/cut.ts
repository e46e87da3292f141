import type { AccountDocument, AccountStore } from '../../../src/api/features/accounts/store.ts'
import { accountFaults, sumOf } from '../../../src/shared/domain/account.ts'
import { sides } from '../../../src/shared/domain/account-entry.ts'
import { receiptEntryId, recipientsOf } from '../../../src/shared/domain/account-movement.ts'

/** All accounts at one moment: read twice, and nothing had changed between. */
export type Cut = {
  readonly accounts: readonly AccountDocument[]
  /** Sent by an entry of an outbox, and not yet received. */
  readonly inFlightMicroCredits: number
}

const accountsMax = 500

/** Null when somebody wrote meanwhile. */
export async function readCut(store: AccountStore): Promise<Cut | null> {
  const first = await store.page('', accountsMax)
  const inFlightMicroCredits = await sumInFlight(store, first)
  const second = await store.page('', accountsMax)
  const isSame = JSON.stringify(first.map(seqOf)) === JSON.stringify(second.map(seqOf))
  return isSame ? { accounts: first, inFlightMicroCredits } : null
}

function seqOf({ _id, seq }: AccountDocument) {
  return [_id, seq] as const
}

async function sumInFlight(
  store: AccountStore,
  accounts: readonly AccountDocument[],
): Promise<number> {
  const parcels = accounts.flatMap(({ outbox }) =>
    outbox.flatMap((entry) => recipientsOf(entry).map((accountId) => ({ entry, accountId }))),
  )
  const ids = parcels.map(({ entry, accountId }) => receiptEntryId(entry, accountId))
  const snapshots = accounts.map(({ outbox, ...account }) => ({ account, outbox, isNew: false }))
  const received = await store.findEntries(snapshots, ids)
  const open = parcels.filter(
    ({ entry, accountId }) => !received.has(receiptEntryId(entry, accountId)),
  )
  return sumOf(
    open.flatMap(({ entry, accountId }) =>
      entry.postings.filter(({ credit }) => credit === sides.incoming(accountId)),
    ),
  )
}

/** What is not right about a cut; empty when credits neither came from nowhere nor went there. */
export function cutFaults({ accounts, inFlightMicroCredits }: Cut): readonly string[] {
  const sum = (name: keyof AccountDocument['totals']) =>
    accounts.reduce((total, { totals }) => total + totals[name], 0)
  const owned = sum('available') + sum('held') + inFlightMicroCredits
  const given = sum('issued') - sum('revoked') - sum('spent') - sum('expired')
  const faults = accounts.flatMap((account) =>
    accountFaults(account).map((fault) => `${account._id}: ${fault}`),
  )
  return owned === given ? faults : [...faults, `there are ${owned}, there should be ${given}`]
}
