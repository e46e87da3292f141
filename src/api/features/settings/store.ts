import type { Database } from '../../../platform/mongo/database.ts'
import { defaultSettings, type SiteSettings } from '../../../shared/domain/settings.ts'
import type { AuditEntry, AuditOutbox } from '../audit-log/entry.ts'
import { mergeTiers } from './change.ts'
import { openOutboxes } from '../audit-log/outboxes.ts'
import type { OutboxStore } from '../audit-log/trail.ts'

/** One document. What it does not say is the default. */
export type SettingsRow = AuditOutbox & {
  readonly _id: 'site'
  readonly values: Partial<SiteSettings>
  readonly revision: number
}

/** The only writer of the collection `settings`. */
export type SettingsStore = OutboxStore & {
  readonly read: () => Promise<SettingsRow>
  /** Replaces the values when nobody else has since `revision`; null when somebody has. */
  readonly replace: (
    revision: number,
    values: Partial<SiteSettings>,
    audit: AuditEntry,
  ) => Promise<SettingsRow | null>
}

const untouched: SettingsRow = { _id: 'site', values: {}, revision: 0, auditOutbox: [] }

export function createSettingsStore(database: Database): SettingsStore {
  const settings = database.documents<SettingsRow>('settings')
  return {
    ...openOutboxes(database, 'settings'),
    read: async () => (await settings.findById('site')) ?? untouched,
    replace: async (revision, values, audit) => {
      if (revision === 0) {
        const row: SettingsRow = { _id: 'site', values, revision: 1, auditOutbox: [audit] }
        if (await settings.insert(row)) return row
      }
      return await settings.findAndUpdate(
        { _id: 'site', revision },
        { $set: { values }, $inc: { revision: 1 }, $push: { auditOutbox: audit } },
      )
    },
  }
}

/** A cap that a later release adds is its default also in tiers that were changed before. */
export function valuesOf({ values }: SettingsRow): SiteSettings {
  const { tiers } = defaultSettings
  return { ...defaultSettings, ...values, tiers: mergeTiers(tiers, values.tiers ?? {}) }
}
