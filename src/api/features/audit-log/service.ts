import type { Readable } from 'node:stream'
import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission, visibleRows } from '../../../shared/domain/permissions.ts'
import { AppError, invalidRequest } from '../../../shared/errors.ts'
import type { AuditEntryView, AuditFilters, AuditLogQuery } from '../../../shared/wire/audit-log.ts'
import type { Page } from '../../../shared/wire/pages.ts'
import { decodeCursor, toPage } from '../../pages.ts'
import { type CsvPart, toCsv } from './csv.ts'
import type { AuditEntry } from './entry.ts'
import type { AuditLogStore, AuditQuery } from './store.ts'
import { toEntryView } from './view.ts'

/** Super admins read all entries, department admins those about their own department. */
export type AuditLogService = {
  /**
   * Newest first. Errors: `request.invalid` for a foreign cursor or `until` before `from`,
   * `auth.forbidden`, also for another department than one's own.
   */
  readonly list: (caller: Caller, query: AuditLogQuery) => Promise<Page<AuditEntryView>>
  /** All entries of the filters as CSV, read while it is sent. Errors: as `list`. */
  readonly toCsv: (caller: Caller, filters: AuditFilters) => Promise<Readable>
}

export type AuditLogServiceParts = {
  readonly auditLog: Pick<AuditLogStore, 'page'>
  /** After so many entries the file ends and says so. */
  readonly exportRowsMax?: number
}

const defaultExportRowsMax = 100_000
const exportPageSize = 500

export function createAuditLogService(parts: AuditLogServiceParts): AuditLogService {
  const { auditLog, exportRowsMax = defaultExportRowsMax } = parts
  return {
    list: async (caller, { limit, cursor, ...filters }) => {
      requirePermission(caller, 'audit_log.read')
      const beforeId = cursor === undefined ? undefined : decodeCursor(cursor)
      const query = { ...queryOf(caller, filters), beforeId, limit: limit + 1 }
      const { items, next } = toPage(await auditLog.page(query), limit, ({ _id }) => _id)
      return { items: items.map(toEntryView), next }
    },
    toCsv: async (caller, filters) => {
      requirePermission(caller, 'audit_log.read')
      const query = { ...queryOf(caller, filters), limit: exportPageSize }
      // The first page before the answer begins: after it there is no status to say what failed.
      const first = await auditLog.page(query)
      const readAfter = async (beforeId: string) => await auditLog.page({ ...query, beforeId })
      return toCsv(readParts(first, { readAfter, rowsMax: exportRowsMax }))
    },
  }
}

type Reading = {
  readonly readAfter: (id: string) => Promise<readonly AuditEntry[]>
  readonly rowsMax: number
}

async function* readParts(
  first: readonly AuditEntry[],
  { readAfter, rowsMax }: Reading,
): AsyncGenerator<CsvPart> {
  let page = first
  let left = rowsMax
  while (page.length <= left) {
    yield { entries: page }
    const last = page.at(-1)
    if (last === undefined || page.length < exportPageSize) return
    left -= page.length
    page = await readAfter(last._id)
  }
  yield { entries: page.slice(0, left), note: noteOf(page[left - 1] ?? page[0]) }
}

/** The last moment is read again, since it may have had more entries: doubles have the same id. */
function noteOf(last: AuditEntry | undefined): string {
  const until = last === undefined ? '' : `=${new Date(last.timeMs + 1).toISOString()}`
  return `There are more entries: export again with until${until}`
}

function queryOf(caller: Caller, filters: AuditFilters): Omit<AuditQuery, 'limit'> {
  const { action, actor, target, from, until } = filters
  const fromMs = from === undefined ? undefined : Date.parse(from)
  const untilMs = until === undefined ? undefined : Date.parse(until)
  if (fromMs !== undefined && untilMs !== undefined && untilMs <= fromMs) {
    throw invalidRequest([{ path: 'until', message: 'must be after from' }])
  }
  const department = departmentFor(caller, filters.department)
  return { action, actorId: actor, targetId: target, fromMs, untilMs, department }
}

/** Whoever may not read everything reads their own department. */
function departmentFor(caller: Caller, wanted: string | undefined): string | undefined {
  if (visibleRows(caller).kind === 'All') return wanted
  if (wanted === undefined || wanted === caller.department) return caller.department
  throw new AppError('auth.forbidden', 'you may read the audit log of your own department only')
}
