import { pipeline, Readable } from 'node:stream'
import { stringify } from 'csv-stringify'
import type { AccountOwner } from '../../../shared/domain/caller.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { type DescribedEntry, toEntryView } from './entry-view.ts'

/**
 * What is not there is an empty cell. Amounts are bigint, so that the minus of one is not taken for
 * that of a formula.
 */
type Row = Readonly<Record<Column, string | bigint | null | undefined>>
const columns = [
  'time',
  'kind',
  'credits',
  'held',
  'reason',
  'byId',
  'byName',
  'jobId',
  'jobTask',
  'jobModel',
  'jobState',
  'lots',
  'department',
  'user',
  'seq',
  'id',
  'hash',
] as const
type Column = (typeof columns)[number]
const emptyRow = Object.fromEntries(columns.map((column) => [column, '']))

/** Some entries of one account, and what the reader must know after them. */
export type CsvPart = {
  readonly owner: AccountOwner
  readonly entries: readonly DescribedEntry[]
  readonly note?: string
}

/**
 * RFC 4180 in UTF-8, one line per entry. It begins with a byte order mark: without one Excel in a
 * Korean Windows reads the bytes as CP949. A text that a spreadsheet would run as a formula gets a
 * `'` in front. Errors of `parts` end the stream.
 */
export function toCsv(parts: AsyncIterable<CsvPart>): Readable {
  const text = stringify({
    bom: true,
    header: true,
    columns: [...columns],
    record_delimiter: 'windows',
    quote_record_delimiter: true,
    escape_formulas: true,
    cast: { bigint: (microCredits) => formatCredits(Number(microCredits)) },
  })
  // What goes wrong destroys `text`, whose reader sees it there.
  pipeline(Readable.from(rowsOf(parts)), text, ignore)
  return text
}

async function* rowsOf(parts: AsyncIterable<CsvPart>) {
  for await (const { owner, entries, note } of parts) {
    yield* entries.map((entry) => rowOf(owner, entry))
    // A row of full width, so that the file stays a table.
    if (note !== undefined) yield { ...emptyRow, time: note }
  }
}

function rowOf({ department, user }: AccountOwner, described: DescribedEntry): Row {
  const { id, kind, time, seq, lots, reason, hash } = toEntryView(described)
  return {
    time,
    kind,
    credits: BigInt(described.change),
    held: BigInt(described.held),
    reason,
    ...personCells(described),
    ...jobCells(described),
    lots: JSON.stringify(lots),
    department,
    user,
    seq: String(seq),
    id,
    hash,
  }
}

function personCells({ by }: DescribedEntry) {
  return { byId: by?.id, byName: by?.name }
}

/** A job of which nothing is known any more still has its id. */
function jobCells({ entry, job }: DescribedEntry) {
  return { jobId: entry.jobId, jobTask: job?.task, jobModel: job?.model, jobState: job?.state }
}

function ignore(): void {}
