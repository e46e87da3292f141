import { accountLimits } from '../../../shared/domain/account.ts'
import { type TierCaps, tiers } from '../../../shared/domain/membership.ts'
import type { SiteSettings } from '../../../shared/domain/settings.ts'
import type { FieldError } from '../../../shared/errors.ts'
import type { SettingsChange } from '../../../shared/wire/settings.ts'
import type { AuditValues } from '../audit-log/entry.ts'

/** The settings after a change; what it does not name stays. */
export function applyChange(before: SiteSettings, change: SettingsChange['values']): SiteSettings {
  const { tiers: tierChanges, ...others } = change
  return { ...before, ...defined(others), tiers: mergeTiers(before.tiers, tierChanges ?? {}) }
}

export function mergeTiers(
  before: TierCaps,
  changes: NonNullable<SettingsChange['values']['tiers']>,
): TierCaps {
  const merge = (tier: keyof TierCaps) => ({ ...before[tier], ...defined(changes[tier] ?? {}) })
  return { Free: merge('Free'), Standard: merge('Standard'), Premium: merge('Premium') }
}

/** What is wrong with settings as a whole, where each value alone is in its bounds. */
export function settingsFaults(settings: SiteSettings): readonly FieldError[] {
  const { openHoldsMax } = accountLimits
  const tooMany = tiers.filter((tier) => {
    const { runningJobs, queuedJobs } = settings.tiers[tier]
    return runningJobs + queuedJobs > openHoldsMax
  })
  const message = `runningJobs and queuedJobs together are at most ${openHoldsMax}`
  const faults = tooMany.map((tier) => ({ path: `/values/tiers/${tier}/queuedJobs`, message }))
  if (settings.refreshTokenSeconds >= settings.accessTokenSeconds) return faults
  const shorter = 'is not shorter than accessTokenSeconds'
  return [...faults, { path: '/values/refreshTokenSeconds', message: shorter }]
}

/** One level, as the audit log keeps values: `tiers.Free.runningJobs`. */
export function flatten({ tiers: tierCaps, ...others }: SiteSettings): AuditValues {
  const ofTiers = tiers.flatMap((tier) =>
    Object.entries(tierCaps[tier]).map(
      ([name, value]) => [`tiers.${tier}.${name}`, value] as const,
    ),
  )
  return { ...others, ...Object.fromEntries(ofTiers) }
}

/** Without the fields that a schema of optional ones leaves undefined. */
function defined<T extends object>(fields: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined)
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- only undefined values left
  return Object.fromEntries(entries) as { [Name in keyof T]?: Exclude<T[Name], undefined> }
}
