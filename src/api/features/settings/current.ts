import type { SiteSettings } from '../../../shared/domain/settings.ts'

/** Reads the settings that count now; a few seconds old at most. */
export type CurrentSettings = () => Promise<SiteSettings>
