import { type Entry, sides } from '../../../shared/domain/account-entry.ts'
import type { AccountDocument, AccountStore } from '../accounts/store.ts'
import type { BudgetMonth, Revoked } from './store.ts'

/** Reads entries since the last count, and only when something was taken back since then. */
export async function countRevoked(
  accounts: Pick<AccountStore, 'entriesOf'>,
  { _id: lotId, revoked }: Pick<BudgetMonth, '_id' | 'revoked'>,
  own: AccountDocument | null,
): Promise<Revoked> {
  if (own === null || own.totals.revoked <= revoked.ofAllLots) return revoked
  // The same entry may lie in the outbox and in the collection.
  const found = new Map<number, number>()
  const take = (entries: readonly Entry[]): void => {
    for (const entry of entries) found.set(entry.seq, revokedBy(entry, lotId))
  }
  take(own.outbox)
  for (let seq = revoked.seq; seq < own.seq;) {
    const page = await accounts.entriesOf(own._id, seq)
    take(page)
    seq = page.at(-1)?.seq ?? own.seq
  }
  let { microCredits } = revoked
  for (const [seq, amount] of found) {
    if (seq > revoked.seq && seq <= own.seq) microCredits += amount
  }
  return { microCredits, seq: own.seq, ofAllLots: own.totals.revoked }
}

function revokedBy({ kind, postings }: Entry, lotId: string): number {
  if (kind !== 'Revoke') return 0
  return postings
    .filter((posting) => posting.lotId === lotId && posting.credit === sides.issued)
    .reduce((total, { microCredits }) => total + microCredits, 0)
}
