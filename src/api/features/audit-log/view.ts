import type { AuditEntryView } from '../../../shared/wire/audit-log.ts'
import type { AuditEntry } from './entry.ts'

export function toEntryView({ _id, timeMs, ...facts }: AuditEntry): AuditEntryView {
  return { id: _id, time: new Date(timeMs).toISOString(), ...facts }
}
