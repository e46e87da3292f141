import type { Clock } from '../../../shared/clock.ts'
import { openShortMemory } from '../../short-memory.ts'
import type { CurrentSettings } from './current.ts'
import { type SettingsStore, valuesOf } from './store.ts'

/** How long a change may go unnoticed by other replicas. */
const ageMsMax = 5000
/** There is one document. */
const site = 'site'

export type RememberedSettings = {
  readonly current: CurrentSettings
  /** Makes the next look read the database: somebody has changed them here. */
  readonly forget: () => void
}

export function rememberSettings(
  store: Pick<SettingsStore, 'read'>,
  clock: Clock,
): RememberedSettings {
  const read = async () => valuesOf(await store.read())
  const memory = openShortMemory({ read, clock, ageMsMax, sizeMax: 1 })
  return { current: async () => await memory.get(site), forget: () => memory.forget(site) }
}
