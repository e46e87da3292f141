import type { Clock } from '../../../shared/clock.ts'
import { type Caps, freeMembership, type Tier, tierAt } from '../../../shared/domain/membership.ts'
import type { OverLimit } from '../../../shared/domain/settings.ts'
import type { CurrentSettings } from '../settings/current.ts'
import type { UserStore } from '../users/store.ts'

/** What counts for a person at this moment. */
export type OwnerLimits = {
  readonly tier: Tier
  /** When the tier ends; null is never, also when it has ended and the person is `Free`. */
  readonly tierExpiresMs: number | null
  readonly caps: Caps
  readonly overLimit: OverLimit
}

export type OwnerLimitParts = {
  readonly people: {
    readonly users: Pick<UserStore, 'find'>
    readonly settings: CurrentSettings
  }
  readonly clock: Clock
}

/** Who has no row has no membership either, and is `Free`. */
export async function readOwnerLimits(
  { people, clock }: OwnerLimitParts,
  userId: string,
): Promise<OwnerLimits> {
  const [row, settings] = await Promise.all([people.users.find(userId), people.settings()])
  const membership = row?.membership ?? freeMembership
  const tier = tierAt(membership, clock.nowMs())
  const { overLimit, tiers } = settings
  const tierExpiresMs = tier === membership.tier ? membership.expiresMs : null
  return { tier, tierExpiresMs, caps: tiers[tier], overLimit }
}
