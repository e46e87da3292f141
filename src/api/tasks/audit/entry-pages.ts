import type { Entry } from '../../../shared/domain/account-entry.ts'
import type { AccountDocument } from '../../features/accounts/store.ts'
import { type AuditStore, entriesMax } from './store.ts'

/** Far more than an account ever has. */
const pagesMax = 100_000

/**
 * The entries of an account from a number on up to the one it ended with when it was read. Whoever
 * leaves an entry out of an outbox has seen it in the collection, so account and outbox first and
 * the collection after them show every entry, also of an account that is written to meanwhile.
 */
export async function* eachEntryPage(
  store: Pick<AuditStore, 'entries'>,
  { _id, seq: until, outbox }: AccountDocument,
  afterSeq: number,
): AsyncIterable<readonly Entry[]> {
  let after = afterSeq
  for (let page = 0; page < pagesMax && after < until; page += 1) {
    const stored = await store.entries(_id, { after, until })
    const isLast = stored.length < entriesMax
    const end = isLast ? until : (stored.at(-1)?.seq ?? until)
    const ids = new Set(stored.map((entry) => entry._id))
    const waiting = outbox.filter(
      (entry) => entry.seq > after && entry.seq <= end && !ids.has(entry._id),
    )
    yield [...stored, ...waiting].toSorted((a, b) => a.seq - b.seq)
    after = end
  }
}
