import {
  calculateJwkThumbprint,
  type CryptoKey,
  importJWK,
  type JWK,
  type JWTVerifyOptions,
  jwtVerify,
  SignJWT,
} from 'jose'
import { z } from 'zod'
import { labelName } from '../../../shared/crd/common.ts'
import type { Clock } from '../../../shared/clock.ts'
import { AppError } from '../../../shared/errors.ts'

export const accessTokenSeconds = 3600
const algorithm = 'EdDSA'
/** RFC 9068: keeps every other kind of token of this issuer from passing as an access token. */
const tokenType = 'at+jwt'
const audience = 'atelier-api'
const clockToleranceSeconds = 5

export type TokenOptions = {
  /** Ed25519 private key of the secrets folder. */
  readonly key: JWK
  readonly issuer: string
  readonly clock: Clock
  readonly newId: () => string
}

export type Tokens = {
  readonly sign: (userId: string) => Promise<string>
  /** Throws `auth.invalid_token` for everything but a live access token of ours. */
  readonly verify: (token: string) => Promise<VerifiedToken>
}
export type VerifiedToken = { readonly userId: string; readonly expiresMs: number }

const claims = z.object({ sub: labelName, exp: z.int() })

/**
 * Access tokens: JWTs signed with one Ed25519 key. The key is ours alone, so a `kid`, `jku` or
 * `jwk` in a header chooses nothing; it must simply name our key.
 */
export async function createTokens(options: TokenOptions): Promise<Tokens> {
  const { issuer, clock, newId } = options
  const { d: _secret, ...publicJwk } = options.key
  const privateKey = await importKey(options.key)
  const publicKey = await importKey(publicJwk)
  const keyId = await calculateJwkThumbprint(publicJwk)
  const sign = async (userId: string): Promise<string> => {
    const nowSeconds = Math.floor(clock.nowMs() / 1000)
    return new SignJWT()
      .setProtectedHeader({ alg: algorithm, typ: tokenType, kid: keyId })
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(userId)
      .setJti(newId())
      .setIssuedAt(nowSeconds)
      .setExpirationTime(nowSeconds + accessTokenSeconds)
      .sign(privateKey)
  }
  const verify = async (token: string): Promise<VerifiedToken> => {
    try {
      const checks = checksAt(clock, issuer)
      const { payload, protectedHeader } = await jwtVerify(token, publicKey, checks)
      if (protectedHeader.kid !== keyId) throw new Error('another key')
      const { sub, exp } = claims.parse(payload)
      return { userId: sub, expiresMs: exp * 1000 }
    } catch (cause) {
      throw new AppError('auth.invalid_token', 'the token is not valid or has expired', { cause })
    }
  }
  return { sign, verify }
}

function checksAt(clock: Clock, issuer: string): JWTVerifyOptions {
  return {
    algorithms: [algorithm],
    issuer,
    audience,
    typ: tokenType,
    requiredClaims: ['sub', 'exp', 'iat', 'jti'],
    clockTolerance: clockToleranceSeconds,
    currentDate: new Date(clock.nowMs()),
  }
}

async function importKey(jwk: JWK): Promise<CryptoKey> {
  const key = await importJWK(jwk, algorithm)
  if (key instanceof Uint8Array) throw new Error('token-key.json is not an Ed25519 key')
  return key
}
