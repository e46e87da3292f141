import { defaultTierCaps, type TierCaps } from './membership.ts'

/** What happens to a job over its owner's running cap: it waits, or it is refused at once. */
export const overLimits = ['Queue', 'Reject'] as const
export type OverLimit = (typeof overLimits)[number]

/** No access token lives longer: old signing keys are kept for as long. */
export const accessTokenSecondsMax = 86_400

/** What a super admin may set for the whole site. */
export type SiteSettings = {
  readonly overLimit: OverLimit
  readonly tiers: TierCaps
  readonly accessTokenSeconds: number
  readonly refreshTokenSeconds: number
  /** A guest whom nobody decides on is removed after this. */
  readonly guestDays: number
  readonly inviteDays: number
  readonly signingKeyDays: number
}

export const defaultSettings: SiteSettings = {
  overLimit: 'Queue',
  tiers: defaultTierCaps,
  accessTokenSeconds: 3600,
  refreshTokenSeconds: 7 * 86_400,
  guestDays: 3,
  inviteDays: 7,
  signingKeyDays: 30,
}
