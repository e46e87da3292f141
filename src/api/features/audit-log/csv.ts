import { pipeline, Readable } from 'node:stream'
import { stringify } from 'csv-stringify'
import type { AuditEntry, AuditValues } from './entry.ts'

/** What is not there is an empty cell. */
type Row = Readonly<Record<Column, string | null | undefined>>
const columns = [
  'time',
  'action',
  'actorKind',
  'actorId',
  'actorRole',
  'actorDepartment',
  'actorKeyId',
  'targetKind',
  'targetId',
  'targetDepartment',
  'before',
  'after',
  'ip',
  'userAgent',
  'requestId',
  'id',
] as const
type Column = (typeof columns)[number]
const emptyRow = Object.fromEntries(columns.map((column) => [column, '']))

/** Some entries, and what the reader must know after them. */
export type CsvPart = { readonly entries: readonly AuditEntry[]; readonly note?: string }

/**
 * RFC 4180 in UTF-8, one line per entry. It begins with a byte order mark: without one Excel in a
 * Korean Windows reads the bytes as CP949. A cell that a spreadsheet would run as a formula gets a
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
  })
  // What goes wrong destroys `text`, whose reader sees it there.
  pipeline(Readable.from(rowsOf(parts)), text, ignore)
  return text
}

async function* rowsOf(parts: AsyncIterable<CsvPart>) {
  for await (const { entries, note } of parts) {
    yield* entries.map(rowOf)
    // A row of full width, so that the file stays a table.
    if (note !== undefined) yield { ...emptyRow, time: note }
  }
}

function rowOf({ _id, timeMs, action, actor, target, before, after, origin }: AuditEntry): Row {
  return {
    time: new Date(timeMs).toISOString(),
    action,
    actorKind: actor.kind,
    actorId: actor.id,
    actorRole: actor.role,
    actorDepartment: actor.department,
    actorKeyId: actor.keyId,
    targetKind: target.kind,
    targetId: target.id,
    targetDepartment: target.department,
    before: jsonOf(before),
    after: jsonOf(after),
    ip: origin?.ip,
    userAgent: origin?.userAgent,
    requestId: origin?.requestId,
    id: _id,
  }
}

function jsonOf(values: AuditValues | null): string {
  return values === null ? '' : JSON.stringify(values)
}

function ignore(): void {}
