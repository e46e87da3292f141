/** What a person may use at once and keep, by what they or their company pay for. */
export const tiers = ['Free', 'Standard', 'Premium'] as const
export type Tier = (typeof tiers)[number]

/** A tier until a moment; null is for good. After it the person is `Free`. */
export type Membership = { readonly tier: Tier; readonly expiresMs: number | null }

export type Caps = {
  /** Jobs of one person that run at once; written into `spec.owner.limits` of each job. */
  readonly runningJobs: number
  /** Jobs of one person that wait. */
  readonly queuedJobs: number
  readonly imagesPerJob: number
  /** Days after the end of a job for which its pictures are kept. */
  readonly retentionDays: number
  /** Bytes of all uploaded pictures of one person. */
  readonly uploadQuotaBytes: number
}

export type TierCaps = Readonly<Record<Tier, Caps>>

const GIB = 1024 ** 3

export const defaultTierCaps: TierCaps = {
  Free: {
    runningJobs: 4,
    queuedJobs: 100,
    imagesPerJob: 100,
    retentionDays: 30,
    uploadQuotaBytes: GIB,
  },
  Standard: {
    runningJobs: 8,
    queuedJobs: 300,
    imagesPerJob: 400,
    retentionDays: 180,
    uploadQuotaBytes: 10 * GIB,
  },
  Premium: {
    runningJobs: 16,
    queuedJobs: 900,
    imagesPerJob: 1600,
    retentionDays: 730,
    uploadQuotaBytes: 100 * GIB,
  },
}

export const freeMembership: Membership = { tier: 'Free', expiresMs: null }

/** The tier that counts at this moment. */
export function tierAt({ tier, expiresMs }: Membership, nowMs: number): Tier {
  return expiresMs !== null && expiresMs <= nowMs ? 'Free' : tier
}
