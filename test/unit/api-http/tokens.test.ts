import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { type CryptoKey, exportJWK, importJWK, type JWTPayload, SignJWT } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { createTokens, type Tokens } from '../../../src/api/features/sessions/tokens.ts'
import { AppError } from '../../../src/shared/errors.ts'
import { forgeTokens } from '../../support/forged-tokens.ts'

const issuer = 'https://atelier.example'
const startMs = Date.UTC(2026, 10, 21)
const nowSeconds = startMs / 1000
const facts = {
  userId: 'u-0123456789abcdef01234567',
  sessionId: '01jd6z0c5m8k2v3n4p5q6r7s8t',
  expiresMs: startMs + 3_600_000,
}
const goodClaims: JWTPayload = {
  iss: issuer,
  aud: 'atelier-api',
  sub: facts.userId,
  sid: facts.sessionId,
  jti: 'token-1',
  iat: nowSeconds,
  nbf: nowSeconds,
  exp: nowSeconds + 3600,
}

const keyId = 'key-2'
let secret: KeyObject
let open: KeyObject
let nowMs: number
let tokens: Tokens

beforeAll(async () => {
  const pair = generateKeyPairSync('ed25519')
  secret = pair.privateKey
  open = pair.publicKey
  nowMs = startMs
  tokens = createTokens({
    keys: {
      signer: async () => ({ keyId, privateKey: await importKey(secret) }),
      find: async (id) => (id === keyId ? await importKey(open) : null),
    },
    issuer,
    clock: { nowMs: () => nowMs },
    newId: () => 'token-1',
  })
})

async function importKey(key: KeyObject): Promise<CryptoKey> {
  const imported = await importJWK(await exportJWK(key), 'EdDSA')
  if (imported instanceof Uint8Array) throw new Error('not a key pair')
  return imported
}

const sign = async (claims: JWTPayload, header = {}): Promise<string> =>
  await new SignJWT(claims)
    .setProtectedHeader({ alg: 'EdDSA', typ: 'at+jwt', kid: keyId, ...header })
    .sign(secret)

async function away(): Promise<never> {
  throw new AppError('platform.unavailable', 'the database does not answer')
}

describe('an access token', () => {
  test('names its person, session and end', async () => {
    expect(await tokens.verify(await tokens.sign(facts))).toEqual(facts)
  })

  test('is accepted when it is made by hand with the right key and claims', async () => {
    await expect(tokens.verify(await sign(goodClaims))).resolves.toEqual(facts)
  })

  test('is accepted up to its end and refused after the tolerance', async () => {
    const token = await tokens.sign(facts)
    for (const afterMs of [0, 4000]) {
      nowMs = facts.expiresMs + afterMs
      expect(await tokens.verify(token)).toEqual(facts)
    }
    nowMs = facts.expiresMs + 6000
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'auth.invalid_token' })
    nowMs = startMs
  })

  test('is accepted from a replica whose clock is a little ahead', async () => {
    const ahead = { ...goodClaims, nbf: nowSeconds + 4, iat: nowSeconds + 4 }
    await expect(tokens.verify(await sign(ahead))).resolves.toEqual(facts)
  })

  test('is not called invalid when the keys cannot be read', async () => {
    const parts = { issuer, clock: { nowMs: () => nowMs }, newId: () => 'x' }
    const blind = createTokens({ ...parts, keys: { signer: away, find: away } })
    const token = await sign(goodClaims)
    await expect(blind.verify(token)).rejects.toMatchObject({ code: 'platform.unavailable' })
  })
})

test('of more than 50 forged tokens none is accepted', async () => {
  const forgeries = await forgeTokens({
    claims: goodClaims,
    keyId,
    publicJwk: await exportJWK(open),
    retired: { keyId: 'key-1', secret: generateKeyPairSync('ed25519').privateKey },
    sign,
  })
  expect(forgeries.length).toBeGreaterThan(50)
  for (const { name, token } of forgeries) {
    const outcome = await tokens.verify(token).then(
      () => 'accepted',
      (error: unknown) => (error instanceof AppError ? error.code : error),
    )
    expect([name, outcome]).toEqual([name, 'auth.invalid_token'])
  }
})
