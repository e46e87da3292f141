import type { Readable } from 'node:stream'
import { accountIdOf, type AccountOwner, type Caller } from '../../../shared/domain/caller.ts'
import type { Entry } from '../../../shared/domain/account-entry.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { invalidRequest } from '../../../shared/errors.ts'
import type { EntriesExportQuery, EntriesQuery, EntryView } from '../../../shared/wire/ledger.ts'
import type { Page } from '../../../shared/wire/pages.ts'
import { decodeCursor, toPage } from '../../pages.ts'
import { type AccountViewParts, ownerOf, requireAccount } from './account-views.ts'
import { type CsvPart, toCsv } from './csv.ts'
import { describeEntries, type EntryViewParts, toEntryView } from './entry-view.ts'
import type { LedgerReader } from './ledger-reader.ts'

export type EntryListParts = EntryViewParts &
  Pick<AccountViewParts, 'accountStore' | 'departments'> & {
    readonly users: AccountViewParts['users']
    readonly ledger: Pick<LedgerReader, 'page'>
    /** After so many entries the file ends and says so. */
    readonly exportRowsMax?: number
  }

const exportPageSize = 500
const defaultExportRowsMax = 100_000

/**
 * The ledger of one account, newest first. Errors: `credits.account_not_found`, `request.invalid`
 * for a foreign cursor.
 */
export async function listEntries(
  parts: EntryListParts,
  caller: Caller,
  { limit, cursor, kind, ...query }: EntriesQuery,
): Promise<Page<EntryView>> {
  requirePermission(caller, 'credits.read')
  const owner = ownerOf(caller, query)
  await requireAccount(parts, caller, owner)
  const beforeSeq = cursor === undefined ? Infinity : toSeq(decodeCursor(cursor))
  const page = { kind, beforeSeq, limit: limit + 1 }
  const found = await parts.ledger.page(accountIdOf(owner), page)
  const { items, next } = toPage(found, limit, ({ seq }) => String(seq))
  return { items: (await describeEntries(parts, items)).map(toEntryView), next }
}

function toSeq(text: string): number {
  const seq = Number(text)
  if (Number.isSafeInteger(seq) && seq > 0) return seq
  throw invalidRequest([{ path: 'cursor', message: 'is not a cursor of this list' }])
}

/** The same as CSV, read while it is sent. Errors: as `listEntries`. */
export async function exportEntries(
  parts: EntryListParts,
  caller: Caller,
  { kind, before = Infinity, ...query }: EntriesExportQuery,
): Promise<Readable> {
  requirePermission(caller, 'credits.read')
  const owner = ownerOf(caller, query)
  await requireAccount(parts, caller, owner)
  const readBefore = async (beforeSeq: number) =>
    await parts.ledger.page(accountIdOf(owner), { kind, beforeSeq, limit: exportPageSize })
  // The first page before the answer begins: after it there is no status to say what failed.
  return toCsv(readParts(parts, { owner, readBefore, first: await readBefore(before) }))
}

type Reading = {
  readonly owner: AccountOwner
  readonly first: readonly Entry[]
  readonly readBefore: (seq: number) => Promise<readonly Entry[]>
}

async function* readParts(
  parts: EntryListParts,
  { owner, first, readBefore }: Reading,
): AsyncGenerator<CsvPart> {
  let page = first
  let left = parts.exportRowsMax ?? defaultExportRowsMax
  while (page.length <= left) {
    yield { owner, entries: await describeEntries(parts, page) }
    const last = page.at(-1)
    if (last === undefined || page.length < exportPageSize) return
    left -= page.length
    page = await readBefore(last.seq)
  }
  const entries = await describeEntries(parts, page.slice(0, left))
  const seq = page[left - 1]?.seq ?? (page[0]?.seq ?? 0) + 1
  yield { owner, entries, note: `There are more entries: export again with before=${seq}` }
}
