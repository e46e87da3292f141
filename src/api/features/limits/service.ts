import type { Caller } from '../../../shared/domain/caller.ts'
import { requirePermission } from '../../../shared/domain/permissions.ts'
import type { LimitsView } from '../../../shared/wire/settings.ts'
import type { UploadUsageStore } from '../artifacts/upload-usage.ts'
import type { JobStore } from '../jobs/store.ts'
import { type OwnerLimitParts, readOwnerLimits } from './owner-limits.ts'

export type LimitService = {
  /** The caller's own tier and caps, and how much of them is used. */
  readonly get: (caller: Caller) => Promise<LimitsView>
}

export type LimitParts = OwnerLimitParts & {
  readonly jobStore: Pick<JobStore, 'countOpen'>
  readonly uploadUsage: Pick<UploadUsageStore, 'read'>
}

/** As many as one account can have open jobs. */
const countMax = 1000

export function createLimitService(parts: LimitParts): LimitService {
  const { jobStore, uploadUsage } = parts
  return {
    get: async (caller) => {
      requirePermission(caller, 'users.read_self')
      const user = { user: caller.userId }
      const [limits, runningJobs, queuedJobs, uploadBytes] = await Promise.all([
        readOwnerLimits(parts, caller.userId),
        jobStore.countOpen(user, { state: 'Running', countMax }),
        jobStore.countOpen(user, { state: 'Waiting', countMax }),
        uploadUsage.read(caller.userId),
      ])
      const { tier, tierExpiresMs, overLimit, caps } = limits
      const tierExpiresTime = tierExpiresMs === null ? null : new Date(tierExpiresMs).toISOString()
      const used = { runningJobs, queuedJobs, uploadBytes }
      return { tier, tierExpiresTime, overLimit, caps, used }
    },
  }
}
