import { z } from 'zod'
import { labelName, time } from '../crd/common.ts'
import { tiers } from '../domain/membership.ts'
import { userStates } from '../domain/people.ts'
import { permissions, roles } from '../domain/permissions.ts'
import { credits } from './jobs.ts'
import { pageQuery } from './pages.ts'
import { userView } from './sessions.ts'
import { givenPassword, language, line, newPassword } from './text.ts'

export const personParams = z.strictObject({ id: labelName })

/** What is left out stays as it is. */
export const profileChange = z
  .strictObject({ name: line({ max: 128 }).optional(), language: language.optional() })
  .meta({ examples: [{ name: '김미나', language: 'ko' }] })
export type ProfileChangeRequest = z.infer<typeof profileChange>

export const passwordChange = z.strictObject({ currentPassword: givenPassword, newPassword }).meta({
  examples: [
    { currentPassword: 'correct horse battery', newPassword: 'seven quiet lanterns drift' },
  ],
})
export type PasswordChangeRequest = z.infer<typeof passwordChange>

/** Guests become members by approval only, and nobody becomes a guest again. */
export const appointedRoles = ['super_admin', 'department_admin', 'department_member'] as const
export const roleChange = z
  .strictObject({ role: z.enum(appointedRoles) })
  .meta({ examples: [{ role: 'department_admin' }] })
export type RoleChangeRequest = z.infer<typeof roleChange>

export const move = z
  .strictObject({
    department: labelName,
    keepRole: z.boolean().default(false).meta({
      description: 'A department admin becomes a member of the new department unless this is true',
    }),
  })
  .meta({ examples: [{ department: 'assembly', keepRole: false }] })
export type MoveRequest = z.infer<typeof move>

export const membershipChange = z
  .strictObject({
    tier: z.enum(tiers),
    expiresTime: time
      .nullable()
      .meta({ description: 'From then on the tier is Free; null: never' }),
  })
  .meta({ examples: [{ tier: 'Premium', expiresTime: '2031-01-01T00:00:00Z' }] })
export type MembershipRequest = z.infer<typeof membershipChange>

const membershipView = z
  .object({
    tier: z.enum(tiers),
    expiresTime: z.iso.datetime().nullable(),
    /** What counts now: `Free` after the end. */
    effectiveTier: z.enum(tiers),
  })
  .meta({ id: 'Membership' })
export type MembershipView = z.infer<typeof membershipView>

/** A person as admins see them. Who was removed has neither name nor address left. */
export const personView = userView
  .extend({
    state: z.enum(userStates),
    membership: membershipView,
    creationTime: z.iso.datetime(),
    /** False for who signs in elsewhere only. */
    hasPassword: z.boolean(),
  })
  .meta({
    id: 'Person',
    examples: [
      {
        id: 'u-01k3v1x0m5p6q7r8s9t0v1w2x3',
        email: 'mina@quality.example',
        name: '김미나',
        language: 'ko',
        role: 'department_member',
        department: 'quality',
        state: 'Active',
        membership: { tier: 'Free', expiresTime: null, effectiveTier: 'Free' },
        creationTime: '2030-01-01T09:00:00.000Z',
        hasPassword: true,
      },
    ],
  })
export type PersonView = z.infer<typeof personView>

/** The signed-in person, what they may do, and what their own account can still spend. */
export const profileView = personView
  .extend({
    /** Of their role, or of the API key that asks. */
    permissions: z.array(z.enum(permissions)),
    balance: credits,
  })
  .meta({ id: 'Profile', examples: [] })
export type ProfileView = z.infer<typeof profileView>

/** Without `state` everybody but those who were removed. */
export const personQuery = pageQuery.extend({
  role: z.enum(roles).optional(),
  state: z.enum(userStates).optional(),
  department: labelName.optional(),
})
export type PersonQuery = z.infer<typeof personQuery>

export const personPage = z
  .object({ items: z.array(personView), next: z.string().nullable() })
  .meta({ id: 'PersonPage' })
