import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  calculateJwkThumbprint,
  exportJWK,
  type JWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { createTokens, type Tokens } from '../../../src/api/features/sessions/tokens.ts'

const issuer = 'https://atelier.example'
const audience = 'atelier-api'
const userId = 'u-0123456789abcdef01234567'
const startMs = Date.UTC(2026, 10, 21)
const nowSeconds = startMs / 1000

type Keys = { readonly secret: KeyObject; readonly jwk: JWK; readonly publicJwk: JWK }

async function newKeys(): Promise<Keys> {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  return {
    secret: privateKey,
    jwk: await exportJWK(privateKey),
    publicJwk: await exportJWK(publicKey),
  }
}

let keys: Keys
let keyId: string
let nowMs: number
let tokens: Tokens

beforeAll(async () => {
  keys = await newKeys()
  keyId = await calculateJwkThumbprint(keys.publicJwk)
  nowMs = startMs
  const clock = { nowMs: () => nowMs }
  tokens = await createTokens({ key: keys.jwk, issuer, clock, newId: () => 'token-1' })
})

const goodClaims: JWTPayload = {
  iss: issuer,
  aud: audience,
  sub: userId,
  jti: 'token-1',
  iat: nowSeconds,
  exp: nowSeconds + 3600,
}

type Forgery = {
  readonly claims?: JWTPayload
  readonly header?: Readonly<Record<string, unknown>>
  readonly key?: KeyObject | Uint8Array
}

async function forge({ claims, header, key }: Forgery): Promise<string> {
  const protectedHeader = { alg: 'EdDSA', typ: 'at+jwt', kid: keyId, ...header }
  return await new SignJWT({ ...goodClaims, ...claims })
    .setProtectedHeader(protectedHeader)
    .sign(key ?? keys.secret, { crit: { odd: true } })
}

describe('an access token', () => {
  test('names its user and its end', async () => {
    const verified = await tokens.verify(await tokens.sign(userId))
    expect(verified).toEqual({ userId, expiresMs: startMs + 3_600_000 })
  })

  test('is accepted when it is made by hand with the right key and claims', async () => {
    await expect(tokens.verify(await forge({}))).resolves.toMatchObject({ userId })
  })

  test('is accepted up to its end and refused after the tolerance', async () => {
    const token = await tokens.sign(userId)
    nowMs = startMs + 3_600_000
    await expect(tokens.verify(token)).resolves.toMatchObject({ userId })
    nowMs = startMs + 3_600_000 + 6000
    await expect(tokens.verify(token)).rejects.toMatchObject({ code: 'auth.invalid_token' })
    nowMs = startMs
  })
})

const attacks: readonly (readonly [string, () => Promise<string>])[] = [
  ['has no signature (alg none)', async () => new UnsecuredJWT(goodClaims).encode()],
  [
    'is signed with HS256 and the public key as secret',
    async () =>
      await forge({
        header: { alg: 'HS256' },
        key: Buffer.from(keys.publicJwk.x ?? '', 'base64url'),
      }),
  ],
  [
    'is signed with HS256 and the public key’s JSON as secret',
    async () =>
      await forge({ header: { alg: 'HS256' }, key: Buffer.from(JSON.stringify(keys.publicJwk)) }),
  ],
  ['is signed with another key', async () => await forge({ key: (await newKeys()).secret })],
  [
    'brings its own key in the header',
    async () => {
      const own = await newKeys()
      return await forge({ header: { jwk: own.publicJwk }, key: own.secret })
    },
  ],
  [
    'points to a key elsewhere',
    async () => await forge({ header: { jku: 'https://evil.example', kid: 'x' } }),
  ],
  ['names another key id', async () => await forge({ header: { kid: 'other' } })],
  ['names no key id', async () => await forge({ header: { kid: undefined } })],
  ['is for another audience', async () => await forge({ claims: { aud: 'internal.atelier.dev' } })],
  ['has no audience', async () => await forge({ claims: { aud: undefined } })],
  ['is from another issuer', async () => await forge({ claims: { iss: 'https://evil.example' } })],
  ['is an ID token', async () => await forge({ header: { typ: 'JWT' } })],
  ['has no type', async () => await forge({ header: { typ: undefined } })],
  ['has expired', async () => await forge({ claims: { exp: nowSeconds - 60 } })],
  ['never expires', async () => await forge({ claims: { exp: undefined } })],
  ['is not valid yet', async () => await forge({ claims: { nbf: nowSeconds + 60 } })],
  ['names nobody', async () => await forge({ claims: { sub: undefined } })],
  [
    'names something that is no user id',
    async () => await forge({ claims: { sub: '{"$gt":""}' } }),
  ],
  ['has no id', async () => await forge({ claims: { jti: undefined } })],
  [
    'has a critical header that nobody knows',
    async () => await forge({ header: { crit: ['odd'], odd: 1 } }),
  ],
  ['is changed', async () => swapPayload(await forge({}), { ...goodClaims, sub: 'u-other' })],
  ['is cut', async () => (await forge({})).slice(0, -2)],
  ['is empty', async () => ''],
  ['is not a token', async () => 'a.b.c'],
]

function swapPayload(token: string, claims: JWTPayload): string {
  const [header, , signature] = token.split('.')
  return [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.')
}

describe('a token is refused that', () => {
  test.each(attacks)('%s', async (_name, attack) => {
    await expect(tokens.verify(await attack())).rejects.toMatchObject({
      code: 'auth.invalid_token',
    })
  })
})

test('a key of another kind is refused at the start', async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = await exportJWK(privateKey)
  const clock = { nowMs: () => startMs }
  await expect(createTokens({ key, issuer, clock, newId: () => 'x' })).rejects.toThrow('JWK')
})
