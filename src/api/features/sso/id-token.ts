import { jwtVerify, type JWTVerifyResult, type JWTVerifyOptions } from 'jose'
import { z } from 'zod'
import type { Clock } from '../../../shared/clock.ts'
import { AppError, isAppError } from '../../../shared/errors.ts'
import { emailAddress } from '../../../shared/wire/text.ts'
import type { IssuerKeys } from './issuer-keys.ts'
import type { Issuer } from './issuers.ts'

/** What an ID token proves. */
export type Subject = {
  readonly issuer: string
  /** Unique at this issuer only. */
  readonly subject: string
  /** The address, when the issuer has verified it; else null. */
  readonly verifiedEmail: string | null
  readonly name: string | null
}

export type IdTokenWish = {
  readonly idToken: string
  /** What the client sent to the issuer; must then come back. */
  readonly nonce?: string | undefined
}

/** Clocks of an issuer and ours may differ by this much. */
const clockToleranceSeconds = 60
/** An older token is refused even when the issuer lets it live longer. */
const ageSecondsMax = 3600

const claimsShape = z.looseObject({
  sub: z.string().min(1).max(255),
  aud: z.union([z.string(), z.array(z.string())]),
  azp: z.string().optional(),
  iat: z.number(),
  auth_time: z.number().optional(),
  nonce: z.string().optional(),
  email: z.string().optional(),
  email_verified: z.boolean().optional(),
  name: z.string().optional(),
})
type Claims = z.infer<typeof claimsShape>

export type IdTokens = {
  /**
   * Errors: `sso.refused`, which never says what is wrong with the token; `platform.unavailable`
   * when that cannot be said while the issuer does not give its keys.
   */
  readonly verify: (wish: IdTokenWish) => Promise<Subject>
}

/**
 * OpenID Connect Core 1.0, section 3.1.3.7, with RS256 only. Keys are chosen by `kid` among the
 * issuer's own: `jku`, `x5u` and `jwk` of a header choose nothing.
 */
export function createIdTokens(issuer: Issuer, keys: IssuerKeys, clock: Clock): IdTokens {
  return {
    verify: async ({ idToken, nonce }) => {
      try {
        const checks = checksAt(issuer, clock.nowMs())
        const verified = await jwtVerify(idToken, async ({ kid }) => await keyOf(keys, kid), checks)
        return toSubject(issuer, readClaims(verified, { issuer, nonce, nowMs: clock.nowMs() }))
      } catch (cause) {
        if (isAppError(cause, 'platform.unavailable')) throw cause
        throw new AppError('sso.refused', 'the ID token is not valid or has expired', { cause })
      }
    },
  }
}

function checksAt({ issuer, clientId }: Issuer, nowMs: number): JWTVerifyOptions {
  return {
    algorithms: ['RS256'],
    issuer,
    audience: clientId,
    requiredClaims: ['sub', 'aud', 'exp', 'iat'],
    clockTolerance: clockToleranceSeconds,
    maxTokenAge: ageSecondsMax,
    currentDate: new Date(nowMs),
  }
}

async function keyOf(keys: IssuerKeys, keyId: string | undefined) {
  const key = keyId === undefined ? null : await keys.find(keyId)
  if (key === null) throw new Error('the issuer has no such key')
  return key
}

type Expected = {
  readonly issuer: Issuer
  readonly nonce: string | undefined
  readonly nowMs: number
}

function readClaims(
  { payload, protectedHeader }: JWTVerifyResult,
  { issuer, nonce, nowMs }: Expected,
): Claims {
  const claims = claimsShape.parse(payload)
  const latest = nowMs / 1000 + clockToleranceSeconds
  const { typ = 'JWT' } = protectedHeader
  const audiences = [claims.aud].flat()
  const facts: readonly (readonly [boolean, string])[] = [
    // An access token of the same issuer has a type of its own (RFC 9068).
    [typ.toUpperCase() === 'JWT', 'is not an ID token'],
    [audiences.length === 1 || claims.azp === issuer.clientId, 'is for somebody else'],
    [claims.azp === undefined || claims.azp === issuer.clientId, 'was given to somebody else'],
    [issuer.kind !== 'Firebase' || claims.auth_time !== undefined, 'has no auth_time'],
    [(claims.auth_time ?? 0) <= latest, 'was authenticated in the future'],
    [nonce === undefined || claims.nonce === nonce, 'belongs to another request'],
  ]
  const fault = facts.find(([fact]) => !fact)
  if (fault !== undefined) throw new Error(`the token ${fault[1]}`)
  return claims
}

function toSubject({ issuer }: Issuer, claims: Claims): Subject {
  const email = emailAddress.safeParse(claims.email)
  return {
    issuer,
    subject: claims.sub,
    verifiedEmail: claims.email_verified === true && email.success ? email.data : null,
    name: claims.name ?? null,
  }
}
