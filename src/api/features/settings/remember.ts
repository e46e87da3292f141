import type { Clock } from '../../../shared/clock.ts'
import type { SiteSettings } from '../../../shared/domain/settings.ts'
import type { CurrentSettings } from './current.ts'
import { type SettingsStore, valuesOf } from './store.ts'

/** How long a change may go unnoticed by other replicas. */
const ageMsMax = 5000

export type RememberedSettings = {
  readonly current: CurrentSettings
  /** Makes the next look read the database: somebody has changed them here. */
  readonly forget: () => void
}

export function rememberSettings(
  store: Pick<SettingsStore, 'read'>,
  clock: Clock,
): RememberedSettings {
  let known: { readonly values: SiteSettings; readonly untilMs: number } | null = null
  let epoch = 0
  const current = async () => {
    if (known !== null && known.untilMs > clock.nowMs()) return known.values
    const asked = epoch
    const values = valuesOf(await store.read())
    // A read that began before the change may have seen what was before it.
    if (asked === epoch) known = { values, untilMs: clock.nowMs() + ageMsMax }
    return values
  }
  const forget = () => {
    epoch += 1
    known = null
  }
  return { current, forget }
}
