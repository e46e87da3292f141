import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import { AppError } from '../../../shared/errors.ts'
import type { SettingsChange, SettingsView } from '../../../shared/wire/settings.ts'
import { changedValues } from '../audit-log/entry.ts'
import type { AuditTrail } from '../audit-log/trail.ts'
import { applyChange, flatten, settingsFaults } from './change.ts'
import { type SettingsRow, type SettingsStore, valuesOf } from './store.ts'

/** The settings of the whole site. */
export type SettingsService = {
  readonly get: (caller: Caller) => Promise<SettingsView>
  /**
   * Changes what is named; this replica works with it at once, the others within five seconds.
   * Errors: `settings.changed` when somebody else was faster, `request.invalid`.
   */
  readonly change: (caller: Caller, change: SettingsChange) => Promise<SettingsView>
}

export type SettingsParts = {
  readonly settingsStore: SettingsStore
  readonly forgetSettings: () => void
  readonly trail: AuditTrail
}

export function createSettingsService(parts: SettingsParts): SettingsService {
  return {
    get: async (caller) => {
      requirePermission(caller, 'settings.read')
      return toView(await parts.settingsStore.read())
    },
    change: async (caller, change) => {
      requirePermission(caller, 'settings.update')
      return toView(await changeSettings(parts, caller, change))
    },
  }
}

async function changeSettings(
  { settingsStore, forgetSettings, trail }: SettingsParts,
  caller: Caller,
  { revision, values }: SettingsChange,
): Promise<SettingsRow> {
  const row = await settingsStore.read()
  if (row.revision !== revision) throw changedMeanwhile(row.revision)
  const before = valuesOf(row)
  const after = applyChange(before, values)
  const fields = settingsFaults(after)
  if (fields.length > 0) throw new AppError('request.invalid', 'not valid together', { fields })
  const difference = changedValues(flatten(before), flatten(after))
  if (Object.keys(difference.after).length === 0) return row
  const target = { kind: 'Settings', id: 'site', department: null }
  const audit = trail.entry(caller, { action: 'settings.changed', target, ...difference })
  const changed = await settingsStore.replace(revision, after, audit)
  if (changed === null) throw changedMeanwhile((await settingsStore.read()).revision)
  forgetSettings()
  await trail.relay(settingsStore, changed)
  return changed
}

function toView(row: SettingsRow): SettingsView {
  return { revision: row.revision, values: valuesOf(row) }
}

function changedMeanwhile(revision: number): AppError {
  const message = `the settings have revision ${revision} now; read them and decide again`
  return new AppError('settings.changed', message, { details: { revision } })
}
