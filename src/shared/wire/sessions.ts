import { z } from 'zod'
import { labelName } from '../crd/common.ts'
import { roles } from '../domain/permissions.ts'
import { emailAddress, givenPassword, language, opaque } from './text.ts'

/** How a client keeps its tokens: in its own memory, or in cookies that scripts cannot read. */
export const transport = z
  .enum(['Bearer', 'Cookie'])
  .default('Bearer')
  .meta({ description: '`Cookie` sets cookies and leaves the tokens out of the answer' })

export const sessionRequest = z
  .strictObject({ email: emailAddress, password: givenPassword, transport })
  .meta({ examples: [{ email: 'mina@quality.example', password: 'correct horse battery' }] })
export type SessionRequest = z.infer<typeof sessionRequest>

export type Transport = z.infer<typeof transport>

/** Without a token the cookie's is meant. */
export const refreshRequest = z.strictObject({ refreshToken: opaque({ max: 512 }).optional() })
export type RefreshRequest = z.infer<typeof refreshRequest>

export const userView = z
  .object({
    id: labelName,
    email: z.string(),
    name: z.string(),
    language,
    role: z.enum(roles),
    /** For a guest the department that they asked for. */
    department: labelName,
  })
  .meta({ id: 'User' })
export type UserView = z.infer<typeof userView>

export const sessionView = z
  .object({
    id: z.string(),
    /** JWT for `Authorization: Bearer …`; null when it is in a cookie. */
    accessToken: z.string().nullable(),
    tokenType: z.literal('Bearer'),
    /** Seconds. */
    expiresIn: z.int().min(0),
    /** Good for one refresh; null when it is in a cookie. */
    refreshToken: z.string().nullable(),
    refreshExpiresTime: z.iso.datetime(),
    user: userView,
  })
  .meta({ id: 'Session' })
export type SessionView = z.infer<typeof sessionView>

/** One of the signed-in person's own live sessions. */
const ownSessionView = z
  .object({
    id: z.string(),
    method: z.enum(['Password', 'Sso', 'SignUp', 'Invite']),
    creationTime: z.iso.datetime(),
    /** Of the last refresh. */
    lastUseTime: z.iso.datetime(),
    /** Every refresh moves it, up to 30 days from the beginning. */
    expiresTime: z.iso.datetime(),
    ip: z.string(),
    userAgent: z.string(),
    /** Whether it is the session of this request. */
    current: z.boolean(),
  })
  .meta({ id: 'OwnSession' })
export type OwnSession = z.infer<typeof ownSessionView>

export const ownSessionPage = z
  .object({ items: z.array(ownSessionView), next: z.string().nullable() })
  .meta({ id: 'OwnSessionPage' })

export const sessionParams = z.strictObject({ id: z.string().regex(/^[0-9a-z]{26}$/) })

/** RFC 7517 with the keys of RFC 8037. */
export const keySetView = z
  .object({
    keys: z.array(
      z.object({
        kty: z.literal('OKP'),
        crv: z.literal('Ed25519'),
        x: z.string(),
        kid: z.string(),
        alg: z.literal('EdDSA'),
        use: z.literal('sig'),
      }),
    ),
  })
  .meta({ id: 'KeySet' })
