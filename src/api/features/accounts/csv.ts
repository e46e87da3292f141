import type { Readable } from 'node:stream'
import type { AccountOwner } from '../../../shared/domain/caller.ts'
import { formatCredits } from '../../../shared/domain/price.ts'
import { type CsvRow, streamCsv } from '../../csv-stream.ts'
import { type DescribedEntry, toEntryView } from './entry-view.ts'

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
/** Amounts are bigint, so that the minus of one is not taken for that of a formula. */
type Row = CsvRow<(typeof columns)[number]>

/** Some entries of one account, and what the reader must know after them. */
export type CsvPart = {
  readonly owner: AccountOwner
  readonly entries: readonly DescribedEntry[]
  readonly note?: string
}

/** One line per entry. Errors of `parts` end the stream. */
export function toCsv(parts: AsyncIterable<CsvPart>): Readable {
  const cast = { bigint: (microCredits: bigint) => formatCredits(Number(microCredits)) }
  return streamCsv({ columns, rows: rowsOf(parts), cast })
}

async function* rowsOf(parts: AsyncIterable<CsvPart>): AsyncGenerator<Partial<Row>> {
  for await (const { owner, entries, note } of parts) {
    yield* entries.map((entry) => rowOf(owner, entry))
    if (note !== undefined) yield { time: note }
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
