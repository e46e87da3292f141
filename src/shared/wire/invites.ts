import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { pageQuery } from './pages.ts'
import { transport } from './sessions.ts'
import { personName } from './sign-ups.ts'
import { emailAddress, language, newPassword, opaque } from './text.ts'
import { appointedRoles } from './users.ts'

const inviteRole = z.enum(appointedRoles).default('department_member')
export type InviteRole = z.infer<typeof inviteRole>

export const inviteRequest = z
  .strictObject({
    email: emailAddress,
    department: labelName,
    role: inviteRole.meta({
      description: 'Only super admins invite admins, and their keys need `users.set_role` for it',
    }),
    name: personName.optional(),
    language: language.default('ko').meta({ description: 'Of the mail' }),
  })
  .meta({
    examples: [
      { email: 'mina@quality.example', department: 'quality', name: '김미나', language: 'ko' },
    ],
  })
export type InviteRequest = z.infer<typeof inviteRequest>

const inviteStates = ['Open', 'Accepted', 'Revoked', 'Expired'] as const
const inviteState = z.enum(inviteStates)
export type InviteState = z.infer<typeof inviteState>

const inviteId = z.string().regex(/^[0-9a-z]{26}$/)
export const inviteParams = z.strictObject({ id: inviteId })

export const inviteView = z
  .object({
    id: inviteId,
    email: z.string(),
    name: z.string().nullable(),
    department: labelName,
    role: z.enum(appointedRoles),
    state: inviteState,
    /** User id, or the name of the program that invited. */
    invitedBy: z.string(),
    creationTime: z.iso.datetime(),
    expiresTime: z.iso.datetime(),
  })
  .meta({ id: 'Invite' })
export type InviteView = z.infer<typeof inviteView>

export const invitePage = z
  .object({ items: z.array(inviteView), next: z.string().nullable() })
  .meta({ id: 'InvitePage' })

export const inviteQuery = pageQuery

export const inviteColumns = ['email', 'name', 'department', 'role'] as const
export type InviteColumn = (typeof inviteColumns)[number]

export const importQuery = z.strictObject({
  language: language.default('ko').meta({ description: 'Of the mails' }),
})

export const importAnswer = z
  .object({
    /** Invited with a new mail. */
    created: z.int().min(0),
    /** Have the same open invitation already: no second mail. */
    unchanged: z.int().min(0),
    refused: z.array(
      z.object({
        /** Of the file; the header is line 1. */
        line: z.int().min(1),
        field: z.enum(inviteColumns).nullable(),
        message: z.string(),
      }),
    ),
  })
  .meta({
    id: 'InviteImport',
    examples: [
      {
        created: 2,
        unchanged: 0,
        refused: [{ line: 4, field: 'email', message: 'is not an e-mail address' }],
      },
    ],
  })
export type ImportAnswer = z.infer<typeof importAnswer>

export const acceptRequest = z
  .strictObject({
    // Copied out of a mail it often has blanks around it.
    token: z
      .string()
      .max(250)
      .trim()
      .pipe(opaque({ max: 200 }))
      .meta({ description: 'From the mail' }),
    password: newPassword,
    name: personName,
    language,
    transport,
  })
  .meta({
    examples: [
      {
        token: '01jd6z0c5m8k2v3n4p5q6r7s8t.0Wm5V8zq2r1mXb7Yd4Ht9uKc3LsJfAeN6oPgQiRkTvU',
        password: 'seven quiet lanterns drift',
        name: '김미나',
        language: 'ko',
      },
    ],
  })
export type AcceptRequest = z.infer<typeof acceptRequest>
