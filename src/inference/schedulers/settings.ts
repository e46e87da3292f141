import { AppError } from '../../shared/errors.ts'
import type { SchedulerConfig } from './scheduler.ts'

type Setting = number | string | boolean

/**
 * Takes the keys that a scheduler knows from a diffusers settings file. Absent keys get the
 * scheduler's own default and unknown keys are left alone, which is diffusers' `from_config` rule.
 */
export function readSettings<Defaults extends Readonly<Record<string, Setting>>>(
  defaults: Defaults,
  config: SchedulerConfig,
): Defaults {
  const entries = Object.entries(defaults).map(([key, fallback]) => [
    key,
    readSetting({ key, value: config[key], fallback }),
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
  if (value === null && typeof fallback === 'boolean') return false
  if (typeof value !== typeof fallback || Number.isNaN(value)) throw unsupported(key, value)
  return value
}

/** A number that a settings file may leave out or set to null. */
export function readOptionalNumber(config: SchedulerConfig, key: string): number | undefined {
  const value = config[key]
  if (value === undefined || value === null) return undefined
  if (typeof value !== 'number' || Number.isNaN(value)) throw unsupported(key, value)
  return value
}

/** Refuses a value that would need other formulas than the ones here. */
export function requireSetting<Key extends string>(
  settings: Readonly<Record<Key, Setting>>,
  rule: { readonly key: Key; readonly among: readonly Setting[] },
): void {
  const value = settings[rule.key]
  if (!rule.among.includes(value)) throw unsupported(rule.key, value)
}

/** Refuses a whole number outside a range. */
export function requireWhole(
  key: string,
  value: number,
  { min, max }: { readonly min: number; readonly max: number },
): void {
  if (Number.isInteger(value) && value >= min && value <= max) return
  throw unsupported(key, value, `must be a whole number from ${min} to ${max}`)
}

/** Refuses settings of the file that would change the picture and are not implemented. */
export function refuseSettings(config: SchedulerConfig, keys: readonly string[]): void {
  for (const key of keys) {
    const value = config[key]
    const off = value === undefined || value === null || value === false
    if (!off) throw unsupported(key, value)
  }
}

export function unsupported(
  key: string,
  value: unknown,
  reason: string = 'is not supported',
): AppError {
  const message = `scheduler setting ${key}=${JSON.stringify(value)} ${reason}`
  return new AppError('inference.unsupported', message, {
    fields: [{ path: `scheduler.${key}`, message }],
  })
}
