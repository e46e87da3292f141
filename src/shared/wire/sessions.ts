import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { roles } from '../domain/permissions.ts'
import { credits } from './jobs.ts'

export const sessionRequest = z
  .strictObject({
    email: z.email().max(254),
    password: z.string().min(1).max(128),
  })
  .meta({ examples: [{ email: 'mina@quality.example', password: 'correct horse battery' }] })
export type SessionRequest = z.infer<typeof sessionRequest>

const userView = z
  .object({
    id: labelName,
    email: z.string(),
    name: z.string(),
    role: z.enum(roles),
    department: labelName,
  })
  .meta({ id: 'User' })
export type UserView = z.infer<typeof userView>

export const sessionView = z
  .object({
    /** JWT for `Authorization: Bearer …`. */
    accessToken: z.string(),
    tokenType: z.literal('Bearer'),
    /** Seconds. */
    expiresIn: z.int().min(0),
    user: userView,
  })
  .meta({ id: 'Session' })
export type SessionView = z.infer<typeof sessionView>

/** The signed-in user, with what their own account can still spend. */
export const profileView = userView.extend({ balance: credits }).meta({ id: 'Profile' })
export type ProfileView = z.infer<typeof profileView>
