import { generateKeyPairSync } from 'node:crypto'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSigningKeyStore } from '../../../src/api/features/signing-keys/store.ts'
import { forgeTokens } from '../../support/forged-tokens.ts'
import { canaryPassword } from '../../support/canary.ts'
import { type Person, startApi, type TestApi } from './harness.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

const me = async (token: string) =>
  await api.call({ url: '/v1/users/me', headers: { authorization: `Bearer ${token}` } })

const signIn = async (person: Person) => {
  const body = { email: api.emailOf(person), password: canaryPassword }
  const answer = await api.call({ method: 'POST', url: '/v1/sessions', body })
  expect(answer.statusCode).toBe(201)
  return answer.json()
}

const keySet = async () => (await api.call({ url: '/.well-known/jwks.json' })).json().keys

describe('the key set', () => {
  test('shows public parts only and may be kept for five minutes', async () => {
    const response = await api.call({ url: '/.well-known/jwks.json' })
    expect(response.statusCode).toBe(200)
    expect(response.headers['cache-control']).toBe('public, max-age=300')
    expect(response.headers['content-type']).toContain('application/json')
    expect(response.json()).toEqual({
      keys: [
        {
          kty: 'OKP',
          crv: 'Ed25519',
          x: expect.stringMatching(/^[\w-]{43}$/),
          kid: expect.stringMatching(/^[\w-]{43}$/),
          alg: 'EdDSA',
          use: 'sig',
        },
      ],
    })
  })

  test('has the key of a new token', async () => {
    const { accessToken } = await signIn('mina')
    const [key] = await keySet()
    expect(decodeProtectedHeader(accessToken)).toEqual({
      alg: 'EdDSA',
      typ: 'at+jwt',
      kid: key.kid,
    })
  })
})

describe('an access token', () => {
  test('names its person, session and an end within the hour', async () => {
    const { accessToken, id, user } = await signIn('mina')
    const claims = decodeJwt(accessToken)
    expect(claims).toEqual({
      iss: 'http://api.test',
      aud: 'atelier-api',
      sub: user.id,
      sid: id,
      jti: expect.stringMatching(/^[0-9a-z]{26}$/),
      iat: expect.any(Number),
      nbf: claims.iat,
      exp: Number(claims.iat) + 3600,
    })
  })

  test('is accepted when it is made by hand with our key', async () => {
    const { accessToken } = await signIn('mina')
    const token = await api.signToken(decodeJwt(accessToken))
    expect((await me(token)).statusCode).toBe(200)
  })
})

describe('none is accepted', () => {
  test('of more than 50 forgeries', async () => {
    const { accessToken } = await signIn('mina')
    const claims = decodeJwt(accessToken)
    const [{ kid, ...publicJwk }] = await keySet()
    const { alg: _alg, use: _use, ...jwk } = publicJwk
    const forgeries = await forgeTokens({
      claims,
      keyId: kid,
      publicJwk: jwk,
      retired: await putRetiredKey(),
      sign: api.signToken,
    })
    expect(forgeries.length).toBeGreaterThan(50)
    for (const { name, token } of forgeries) {
      const response = await me(token)
      expect([name, response.statusCode, response.json().code]).toEqual([
        name,
        401,
        'auth.invalid_token',
      ])
    }
    expect((await me(accessToken)).statusCode).toBe(200)
  })

  test('that is really a refresh token', async () => {
    const { refreshToken } = await signIn('mina')
    expect((await me(refreshToken)).statusCode).toBe(401)
  })

  test('of a session that has ended, that never was, or that is another person’s', async () => {
    const ended = await signIn('mina')
    const other = await signIn('noor')
    const headers = { authorization: `Bearer ${ended.accessToken}` }
    const signOut = { method: 'DELETE', url: '/v1/sessions/current', headers } as const
    expect((await api.call(signOut)).statusCode).toBe(204)
    const claims = decodeJwt(other.accessToken)
    const invented = await api.signToken({ ...claims, sid: '01jd6z0c5m8k2v3n4p5q6r7s8t' })
    const mixed = await api.signToken({ ...claims, sub: ended.user.id })
    for (const token of [ended.accessToken, invented, mixed]) {
      expect((await me(token)).json()).toMatchObject({ status: 401, code: 'auth.invalid_token' })
    }
    expect((await me(other.accessToken)).statusCode).toBe(200)
  })

  test('of a person who is disabled, from the next request on', async () => {
    const { accessToken, refreshToken, user } = await signIn('sam')
    expect((await me(accessToken)).statusCode).toBe(200)
    const facts = {
      action: 'user.disabled',
      target: { kind: 'User', id: user.id, department: null },
    } as const
    const { directory } = api.core.people
    await directory.change(user.id, { set: { state: 'Disabled' }, by: 'test', facts })
    expect((await me(accessToken)).statusCode).toBe(401)
    const refresh = { method: 'POST', url: '/v1/sessions/refresh', body: { refreshToken } } as const
    expect((await api.call(refresh)).json()).toMatchObject({ code: 'auth.invalid_token' })
    const body = { email: api.emailOf('sam'), password: canaryPassword }
    const again = await api.call({ method: 'POST', url: '/v1/sessions', body })
    expect(again.json()).toMatchObject({ status: 401, code: 'auth.invalid_credentials' })
  })
})

/** As an old rotation would have left it. */
async function putRetiredKey() {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const keyId = 'retired-key'
  const x = publicKey.export({ format: 'jwk' }).x ?? ''
  const retireMs = Date.now() - 1000
  await createSigningKeyStore(api.core.database).insert({
    _id: '00000000',
    keyId,
    publicJwk: { kty: 'OKP', crv: 'Ed25519', x },
    sealedPrivateKey: '',
    creationTimeMs: 0,
    activeFromMs: 0,
    retireMs,
    auditOutbox: [],
  })
  return { keyId, secret: privateKey }
}
