import { AppError } from '../../shared/errors.ts'
import type { SchedulerConfig } from './scheduler.ts'

type Setting = number | string | boolean | null

/**
 * Takes the keys that a scheduler knows from a diffusers settings file. Absent keys get the
 * scheduler's own default, which is diffusers' `from_config` rule.
 */
export function readSettings<Defaults extends Readonly<Record<string, Setting>>>(
  defaults: Defaults,
  config: SchedulerConfig,
): Defaults {
  const entries = Object.entries(defaults).map(([key, value]) => [
    key,
    readSetting({ key, value: config[key], fallback: value }),
  ])
  // Every entry has its default's type: readSetting refuses any other.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- see the line above
  return Object.fromEntries(entries) as Defaults
}

function readSetting(setting: {
  readonly key: string
  readonly value: unknown
  readonly fallback: Setting
}): unknown {
  const { key, value, fallback } = setting
  if (value === undefined) return fallback
  if (fallback === null || typeof value === typeof fallback) return value
  if (value === null && typeof fallback === 'boolean') return false
  throw unsupported(key, value)
}

/** Refuses a value that would need other formulas than the ones here. */
export function requireSetting<Settings extends Readonly<Record<string, Setting>>>(
  settings: Settings,
  rule: { readonly key: keyof Settings & string; readonly among: readonly Setting[] },
): void {
  const value = settings[rule.key]
  if (!rule.among.includes(value)) throw unsupported(rule.key, value)
}

/** Refuses settings of the file that would change the picture and are not implemented. */
export function refuseSettings(config: SchedulerConfig, keys: readonly string[]): void {
  for (const key of keys) {
    const value = config[key]
    const off = value === undefined || value === null || value === false
    if (!off) throw unsupported(key, value)
  }
}

export function unsupported(key: string, value: unknown): AppError {
  const message = `scheduler setting ${key}=${JSON.stringify(value)} is not supported`
  return new AppError('inference.unsupported', message, {
    fields: [{ path: `scheduler.${key}`, message }],
  })
}
