import {
  type CryptoKey,
  type JWTHeaderParameters,
  jwtVerify,
  type JWTVerifyOptions,
  SignJWT,
} from 'jose'
import { z } from 'zod'
import { labelName } from '../../../shared/crd/common.ts'
import type { Clock } from '../../../shared/clock.ts'
import { AppError, isAppError } from '../../../shared/errors.ts'
import { type KeyRing, signingAlgorithm } from '../signing-keys/key-ring.ts'

/** RFC 9068: keeps every other kind of token of this issuer from passing as an access token. */
const tokenType = 'at+jwt'
const audience = 'atelier-api'
/** How far the clocks of two replicas may differ. */
const clockToleranceSeconds = 5
/** RFC 7515 lets a header bring or name its own key. Ours are the only ones that count. */
const foreignKeyParameters = ['jku', 'jwk', 'x5u', 'x5c', 'x5t', 'x5t#S256'] as const

export type TokenParts = {
  readonly keys: Pick<KeyRing, 'signer' | 'find'>
  readonly issuer: string
  readonly clock: Clock
  readonly newId: () => string
}

export type TokenFacts = {
  readonly userId: string
  readonly sessionId: string
  readonly expiresMs: number
}

/** Access tokens: JWTs that name a person and a session, signed with the newest active key. */
export type Tokens = {
  readonly sign: (facts: TokenFacts) => Promise<string>
  /**
   * Whether it is a token of ours and its time is now; who it names must be asked elsewhere.
   * Throws `auth.invalid_token` for everything else.
   */
  readonly verify: (token: string) => Promise<TokenFacts>
}

const claims = z.object({ sub: labelName, sid: labelName, exp: z.int() })

export function createTokens({ keys, issuer, clock, newId }: TokenParts): Tokens {
  const findKey = async (header: JWTHeaderParameters): Promise<CryptoKey> => {
    const brought = foreignKeyParameters.some((name) => header[name] !== undefined)
    const key = brought || header.kid === undefined ? null : await keys.find(header.kid)
    if (key === null) throw new Error('no key of ours')
    return key
  }
  return {
    sign: async ({ userId, sessionId, expiresMs }) => {
      const nowSeconds = Math.floor(clock.nowMs() / 1000)
      const { keyId, privateKey } = await keys.signer()
      return await new SignJWT({ sid: sessionId })
        .setProtectedHeader({ alg: signingAlgorithm, typ: tokenType, kid: keyId })
        .setIssuer(issuer)
        .setAudience(audience)
        .setSubject(userId)
        .setJti(newId())
        .setIssuedAt(nowSeconds)
        .setNotBefore(nowSeconds)
        .setExpirationTime(Math.floor(expiresMs / 1000))
        .sign(privateKey)
    },
    verify: async (token) => {
      try {
        const { payload } = await jwtVerify(token, findKey, checksAt(clock, issuer))
        const { sub, sid, exp } = claims.parse(payload)
        return { userId: sub, sessionId: sid, expiresMs: exp * 1000 }
      } catch (cause) {
        if (isAppError(cause)) throw cause
        throw new AppError('auth.invalid_token', 'the token is not valid or has expired', { cause })
      }
    },
  }
}

function checksAt(clock: Clock, issuer: string): JWTVerifyOptions {
  return {
    algorithms: [signingAlgorithm],
    issuer,
    audience,
    typ: tokenType,
    requiredClaims: ['sub', 'sid', 'exp', 'nbf', 'iat', 'jti'],
    clockTolerance: clockToleranceSeconds,
    currentDate: new Date(clock.nowMs()),
  }
}
