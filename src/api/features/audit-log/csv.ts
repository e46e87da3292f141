import type { Readable } from 'node:stream'
import { type CsvRow, streamCsv } from '../../csv-stream.ts'
import type { AuditEntry, AuditValues } from './entry.ts'

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
type Row = CsvRow<(typeof columns)[number]>

/** Some entries, and what the reader must know after them. */
export type CsvPart = { readonly entries: readonly AuditEntry[]; readonly note?: string }

/** One line per entry. Errors of `parts` end the stream. */
export function toCsv(parts: AsyncIterable<CsvPart>): Readable {
  return streamCsv({ columns, rows: rowsOf(parts) })
}

async function* rowsOf(parts: AsyncIterable<CsvPart>): AsyncGenerator<Partial<Row>> {
  for await (const { entries, note } of parts) {
    yield* entries.map(rowOf)
    if (note !== undefined) yield { time: note }
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
