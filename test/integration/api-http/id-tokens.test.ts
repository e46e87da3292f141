import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createIdTokens, type IdTokens } from '../../../src/api/features/sso/id-token.ts'
import { keyLimits, openIssuerKeys } from '../../../src/api/features/sso/issuer-keys.ts'
import type { Issuer } from '../../../src/api/features/sso/issuers.ts'
import { type LocalIssuer, startLocalIssuer } from '../../support/local-issuer.ts'

const clientId = 'atelier-console'
let provider: LocalIssuer
let other: LocalIssuer
let nowMs = 0
let idTokens: IdTokens
const clock = { nowMs: () => nowMs }
const warnings: object[] = []
const log = { warn: (fields: object) => void warnings.push(fields) }

beforeAll(async () => {
  provider = await startLocalIssuer(clientId)
  other = await startLocalIssuer(clientId)
})
afterAll(async () => {
  await provider.close()
  await other.close()
})
beforeEach(() => {
  nowMs = Date.now()
  warnings.length = 0
  provider.answerWith(200)
  provider.publish({})
  idTokens = open('Oidc')
})

const issuerOf = (kind: Issuer['kind']): Issuer => {
  const issuer = provider.address
  return { name: 'company', displayName: 'Company', kind, issuer, clientId }
}
const open = (kind: Issuer['kind']): IdTokens =>
  createIdTokens(issuerOf(kind), openIssuerKeys(issuerOf(kind), { clock, log }), clock)
const verify = async (idToken: string, nonce?: string) => await idTokens.verify({ idToken, nonce })
const now = (): number => Math.floor(nowMs / 1000)

describe('an ID token', () => {
  test('proves a subject, and an address only when it is verified', async () => {
    const claims = { email: 'Mina@Company.example', email_verified: true, name: 'Mina' }
    expect(await verify(await provider.token(claims))).toEqual({
      issuer: provider.address,
      subject: 'subject-1',
      verifiedEmail: 'Mina@Company.example',
      name: 'Mina',
    })
    const unverified = await verify(await provider.token({ ...claims, email_verified: false }))
    expect(unverified.verifiedEmail).toBeNull()
    expect((await verify(await provider.token({ email: 'a@b.example' }))).verifiedEmail).toBeNull()
  })

  const forged: Readonly<Record<string, () => Promise<string>>> = {
    'of another audience': async () => await provider.token({ aud: 'somebody' }),
    'of two audiences that was given to the other': async () =>
      await provider.token({ aud: [clientId, 'other'], azp: 'other' }),
    'of two audiences without azp': async () => await provider.token({ aud: [clientId, 'other'] }),
    'of another issuer': async () => await provider.token({ iss: other.address }),
    'of another issuer with its own key': async () => await other.token({ iss: provider.address }),
    'without subject': async () => await provider.token({ sub: undefined }),
    'with an empty subject': async () => await provider.token({ sub: '' }),
    'that has expired': async () => await provider.token({ exp: now() - 120 }),
    'without expiry': async () => await provider.token({ exp: undefined }),
    'without time of issue': async () => await provider.token({ iat: undefined }),
    'issued in the future': async () => await provider.token({ iat: now() + 600 }),
    'issued long ago': async () => await provider.token({ iat: now() - 7200, exp: now() + 7200 }),
    'not yet valid': async () => await provider.token({ nbf: now() + 600 }),
    'authenticated in the future': async () => await provider.token({ auth_time: now() + 600 }),
    'that is an access token': async () => await provider.token({}, { header: { typ: 'at+jwt' } }),
    'with an unknown key id': async () => await provider.token({}, { header: { kid: 'other' } }),
    'without key id': async () => await provider.token({}, { header: { kid: undefined } }),
    'signed by a stranger': async () => await provider.token({}, { strangersKey: true }),
    'with its own key inside': async () =>
      await provider.token({}, { strangersKey: true, header: { jku: `${other.address}/keys` } }),
    'without signature': async () => unsigned(await provider.token()),
    'with HMAC over the public key': async () => hmac(await provider.token()),
    'that was changed': async () => tampered(await provider.token()),
  }
  test.each(Object.keys(forged))('%s is refused', async (name) => {
    const token = (await forged[name]?.()) ?? ''
    await expect(verify(token)).rejects.toMatchObject({ code: 'sso.refused' })
  })

  test('must hold the nonce that the client sent', async () => {
    const token = await provider.token({ nonce: 'n-1' })
    expect(await verify(token, 'n-1')).toMatchObject({ subject: 'subject-1' })
    await expect(verify(token, 'n-2')).rejects.toMatchObject({ code: 'sso.refused' })
    const without = await provider.token()
    await expect(verify(without, 'n-1')).rejects.toMatchObject({ code: 'sso.refused' })
  })

  test('of Firebase must say when the person signed in', async () => {
    idTokens = open('Firebase')
    expect(await verify(await provider.token())).toMatchObject({ subject: 'subject-1' })
    const without = await provider.token({ auth_time: undefined })
    await expect(verify(without)).rejects.toMatchObject({ code: 'sso.refused' })
  })
})

describe('keys of an issuer', () => {
  test('are loaded once and not again for each token', async () => {
    await verify(await provider.token())
    const before = provider.requests()
    await verify(await provider.token())
    expect(provider.requests()).toBe(before)
  })

  test('that are new are taken within the cool-down', async () => {
    await verify(await provider.token())
    await provider.rotate()
    nowMs += keyLimits.cooldownMs + 1
    expect(await verify(await provider.token())).toMatchObject({ subject: 'subject-1' })
  })

  test('that are unknown do not make a request each', async () => {
    await verify(await provider.token())
    nowMs += keyLimits.cooldownMs + 1
    const before = provider.requests()
    for (let count = 0; count < 5; count += 1) {
      const token = await provider.token({}, { header: { kid: `unknown-${count}` } })
      await expect(verify(token)).rejects.toMatchObject({ code: 'sso.refused' })
    }
    // One look at discovery and keys.
    expect(provider.requests() - before).toBe(2)
  })

  test('that are known go on working while the issuer is down', async () => {
    await verify(await provider.token())
    provider.answerWith(500)
    nowMs += 3_000_000
    const token = await provider.token({ iat: now(), exp: now() + 60, auth_time: now() })
    expect(await verify(token)).toMatchObject({ subject: 'subject-1' })
  })

  const unavailable = { code: 'platform.unavailable', retryAfterSeconds: 10 }

  test('cannot be had from an issuer that never answered: try again', async () => {
    provider.answerWith(503)
    for (let count = 0; count < 3; count += 1) {
      await expect(verify(await provider.token())).rejects.toMatchObject(unavailable)
    }
    expect(warnings).toEqual([{ err: expect.any(Error), issuer: 'company' }])
    provider.answerWith(200)
    nowMs += keyLimits.cooldownMs
    expect(await verify(await provider.token())).toMatchObject({ subject: 'subject-1' })
  })

  test('that are new while the issuer is down may be good later', async () => {
    await verify(await provider.token())
    await provider.rotate()
    provider.answerWith(500)
    nowMs += keyLimits.cooldownMs
    await expect(verify(await provider.token())).rejects.toMatchObject(unavailable)
    await expect(verify('garbage')).rejects.toMatchObject({ code: 'sso.refused' })
  })

  test('are not loaded over a network in clear, whoever names the address', async () => {
    const { port } = new URL(provider.address)
    // Leads to this machine too, but is none of the addresses that may be in clear.
    provider.publish({ discovery: { jwks_uri: `http://0.0.0.0:${port}/keys` } })
    const before = provider.requests()
    await expect(verify(await provider.token())).rejects.toMatchObject(unavailable)
    expect(provider.requests() - before).toBe(1)
  })

  test('that cannot be imported leave the others good', async () => {
    const damaged = { kty: 'RSA', kid: 'damaged', n: '!', e: 'AQAB' }
    provider.publish({ keys: [damaged, { kty: 'EC', kid: 'other' }] })
    expect(await verify(await provider.token())).toMatchObject({ subject: 'subject-1' })
  })
})

function partsOf(token: string): readonly [string, string, string] {
  const [header = '', payload = '', signature = ''] = token.split('.')
  return [header, payload, signature]
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function unsigned(token: string): string {
  return `${encode({ alg: 'none', typ: 'JWT' })}.${partsOf(token)[1]}.`
}

function hmac(token: string): string {
  const text = `${encode({ alg: 'HS256', typ: 'JWT', kid: 'key-1' })}.${partsOf(token)[1]}`
  return `${text}.${createHmac('sha256', 'public key').update(text).digest('base64url')}`
}

function tampered(token: string): string {
  const [header, payload, signature] = partsOf(token)
  const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString())
  return `${header}.${encode({ ...Object(claims), sub: 'subject-2' })}.${signature}`
}
