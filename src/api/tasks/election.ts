import type { DatabaseLease } from '../../platform/mongo/lease.ts'

export type Election = {
  /** Whether this replica was in charge at the last look. */
  readonly isLeader: () => boolean
  /** One look: takes, renews or loses the lease. */
  readonly campaign: () => Promise<void>
  readonly resign: () => Promise<void>
}

/**
 * Spares work: one replica does what all of them might do at once. A replica that cannot reach the
 * database stops leading at once; it could not do anything anyway.
 */
export function openElection(lease: DatabaseLease, onElected: () => void): Election {
  let leader = false
  const campaign = async () => {
    const wasLeader = leader
    // Still leading while it renews: a change that arrives meanwhile has no other taker.
    leader = await lease.acquire().catch((error: unknown) => {
      leader = false
      throw error
    })
    if (leader && !wasLeader) onElected()
  }
  return {
    isLeader: () => leader,
    campaign,
    resign: async () => {
      const wasLeader = leader
      leader = false
      if (wasLeader) await lease.release()
    },
  }
}
