import { z } from 'zod'
import { accountLimits } from '../domain/account.ts'
import { type Caps, tiers } from '../domain/membership.ts'
import { overLimits } from '../domain/settings.ts'

const DAY_SECONDS = 86_400

/** `batchCount` times `batchSize` of a GenerationJob. */
const imagesPerJobMax = 1600

const caps = z.object({
  runningJobs: z.int().min(1).max(accountLimits.openHoldsMax).describe('Jobs that run at once.'),
  queuedJobs: z.int().min(0).max(accountLimits.openHoldsMax).describe('Jobs that wait.'),
  imagesPerJob: z.int().min(1).max(imagesPerJobMax).describe('Pictures that one job makes.'),
  retentionDays: z.int().min(1).max(3650).describe('Days for which pictures of a job are kept.'),
  uploadQuotaBytes: z
    .int()
    .min(0)
    .max(1024 ** 5)
    .describe('Bytes of all uploaded pictures.'),
}) satisfies z.ZodType<Caps>

const values = z.object({
  overLimit: z
    .enum(overLimits)
    .describe('Over the running cap: `Queue` lets a job wait, `Reject` refuses it with 429.'),
  tiers: z.object({ Free: caps, Standard: caps, Premium: caps }),
  accessTokenSeconds: z.int().min(300).max(DAY_SECONDS),
  refreshTokenSeconds: z
    .int()
    .min(3600)
    .max(90 * DAY_SECONDS),
  guestDays: z.int().min(1).max(365).describe('An undecided guest is removed after this.'),
  inviteDays: z.int().min(1).max(90),
  signingKeyDays: z.int().min(2).max(365).describe('How long a key signs tokens.'),
})

const exampleCaps = {
  runningJobs: 4,
  queuedJobs: 100,
  imagesPerJob: 100,
  retentionDays: 30,
  uploadQuotaBytes: 1_073_741_824,
}

export const settingsView = z
  .object({
    /** Send it with a change: it says what the change is based on. */
    revision: z.int().min(0),
    values,
  })
  .meta({
    id: 'Settings',
    examples: [
      {
        revision: 3,
        values: {
          overLimit: 'Queue',
          tiers: { Free: exampleCaps, Standard: exampleCaps, Premium: exampleCaps },
          accessTokenSeconds: 3600,
          refreshTokenSeconds: 604_800,
          guestDays: 3,
          inviteDays: 7,
          signingKeyDays: 30,
        },
      },
    ],
  })
export type SettingsView = z.infer<typeof settingsView>

const capsChange = z.strictObject(caps.shape).partial()

/** Only what is named changes, also inside of a tier. */
export const settingsChange = z
  .strictObject({
    revision: z.int().min(0),
    values: z
      .strictObject({
        ...values.shape,
        tiers: z
          .strictObject({ Free: capsChange, Standard: capsChange, Premium: capsChange })
          .partial(),
      })
      .partial(),
  })
  .meta({
    examples: [
      { revision: 3, values: { overLimit: 'Reject', tiers: { Free: { runningJobs: 2 } } } },
    ],
  })
export type SettingsChange = z.infer<typeof settingsChange>

/** What counts for the signed-in person now, and how much of it is used. */
export const limitsView = z
  .object({
    tier: z.enum(tiers),
    tierExpiresTime: z.iso.datetime().nullable(),
    overLimit: z.enum(overLimits),
    caps,
    used: z.object({
      runningJobs: z.int().min(0),
      queuedJobs: z.int().min(0),
      uploadBytes: z.int().min(0),
    }),
  })
  .meta({
    id: 'Limits',
    examples: [
      {
        tier: 'Free',
        tierExpiresTime: null,
        overLimit: 'Queue',
        caps: exampleCaps,
        used: { runningJobs: 1, queuedJobs: 2, uploadBytes: 482_113 },
      },
    ],
  })
export type LimitsView = z.infer<typeof limitsView>
