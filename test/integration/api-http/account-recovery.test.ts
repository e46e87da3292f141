import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { canaryPassword } from '../../support/canary.ts'
import { type Person, startApi, type TestApi } from './harness.ts'
import {
  codeFor,
  countDocuments,
  fromAnywhere,
  goodPassword,
  growth,
  newAddress,
  poster,
  refusedCode,
  runTask,
  shapeOf,
} from './mailed-codes.ts'

const oldPassword = canaryPassword

let api: TestApi
beforeAll(async () => {
  api = await startApi({ trustedProxies: ['127.0.0.1'], rateLimits: true })
})
afterAll(async () => {
  await api.close()
})
beforeEach(async () => {
  await collection('codeSends').deleteMany({})
})

const post = poster(() => api)
const collection = (name: string) => api.core.database.native.collection(name)
const rowOf = async (person: Person) =>
  await collection('users').findOne<{ _id: string; email: string; errands?: unknown[] }>({
    name: person === 'mina' ? 'Mina Moon' : person,
  })
const signIn = async (email: string, password: string) =>
  await post('/v1/sessions', { email, password })
const bearerOf = async (email: string, password: string) => {
  const { accessToken } = (await signIn(email, password)).json()
  return { authorization: `Bearer ${accessToken}`, ...fromAnywhere() }
}

const askReset = async (email: string) => await post('/v1/password-resets/codes', { email })
const reset = async (email: string, code: string, password = goodPassword) =>
  await post('/v1/password-resets', { email, code, password })
const askChange = async (person: Person, email: string, password = oldPassword) =>
  await post('/v1/users/me/email/codes', { email, password }, { as: person })
const change = async (person: Person, email: string, code: string) =>
  await api.call({
    method: 'PUT',
    url: '/v1/users/me/email',
    as: person,
    body: { email, code },
    headers: fromAnywhere(),
  })

describe('a forgotten password', () => {
  test('is replaced with a mailed code; all sessions end and the owner is told', async () => {
    const email = api.emailOf('sam')
    const headers = await bearerOf(email, oldPassword)
    const other = await bearerOf(email, oldPassword)
    expect((await askReset(email)).statusCode).toBe(202)
    const response = await reset(email, await codeFor(api, email))
    expect([response.statusCode, response.body]).toEqual([204, ''])
    for (const one of [headers, other]) {
      expect((await api.call({ url: '/v1/users/me', headers: one })).statusCode).toBe(401)
    }
    expect((await signIn(email, oldPassword)).statusCode).toBe(401)
    expect((await signIn(email, goodPassword)).statusCode).toBe(201)
    expect((await api.mailTo(email)).code).toBeNull()
    const row = await rowOf('sam')
    expect(row?.errands).toEqual([])
    const entry = await collection('auditLog').findOne({ action: 'user.password_reset' })
    expect(entry).toMatchObject({ actor: { id: row?._id }, target: { id: row?._id } })
    expect(JSON.stringify(entry)).not.toContain('argon2')
  })

  test('can be the first password of somebody who signs in elsewhere', async () => {
    const email = api.emailOf('noor')
    await collection('users').updateOne({ email }, { $set: { passwordHash: null } })
    await askReset(email)
    expect((await reset(email, await codeFor(api, email))).statusCode).toBe(204)
    expect((await signIn(email, goodPassword)).statusCode).toBe(201)
  })

  test('that is as easy as the owner’s name is refused and costs no code', async () => {
    const email = api.emailOf('lead')
    await collection('users').updateOne({ email }, { $set: { name: 'Zacharias Quincy' } })
    await askReset(email)
    const code = await codeFor(api, email)
    const weak = await reset(email, code, 'zacharias quincy')
    expect(weak.json()).toMatchObject({ status: 400, errors: [{ path: '/password' }] })
    await collection('users').updateOne({ email }, { $set: { name: 'lead' } })
    expect((await reset(email, code)).statusCode).toBe(204)
  })

  test('of somebody who was disabled after the mail stays as it is', async () => {
    const email = api.emailOf('poor')
    await askReset(email)
    const code = await codeFor(api, email)
    const setState = async (state: string) =>
      await collection('users').updateOne({ email }, { $set: { state } })
    await setState('Disabled')
    expect((await reset(email, code)).json()).toMatchObject(refusedCode)
    await setState('Active')
    expect((await signIn(email, oldPassword)).statusCode).toBe(201)
  })

  test('at once by five with one code is replaced once', async () => {
    const email = api.emailOf('gast')
    await askReset(email)
    const code = await codeFor(api, email)
    const passwords = Array.from({ length: 5 }, (_, turn) => `${goodPassword} ${turn}`)
    const answers = await Promise.all(
      passwords.map(async (password) => await reset(email, code, password)),
    )
    const set = passwords.filter((_, index) => answers[index]?.statusCode === 204)
    expect(set).toHaveLength(1)
    expect((await signIn(email, set[0] ?? '')).statusCode).toBe(201)
  })

  test('has refusals that do not tell whether there is an account', async () => {
    const unknown = newAddress()
    const known = api.emailOf('root')
    for (const email of [unknown, known]) {
      await askReset(email)
      await api.mailTo(email)
    }
    const answers = await Promise.all(
      [unknown, known].map(async (email) => shapeOf(await reset(email, '000000'))),
    )
    expect(answers[0]).toMatchObject({ body: refusedCode })
    expect(answers[0]).toEqual(answers[1])
  })
})

describe('another address', () => {
  test('is proven with a mailed code, and the old one is told and free', async () => {
    const before = await rowOf('mina')
    const email = newAddress()
    expect((await askChange('mina', email)).json()).toEqual({ expiresIn: 600, digits: 6 })
    const response = await change('mina', email, await codeFor(api, email))
    expect(response.json()).toMatchObject({ id: before?._id, email, balance: '100000' })
    const old = before?.email ?? ''
    expect((await api.mailTo(old)).code).toBeNull()
    expect((await signIn(old, oldPassword)).statusCode).toBe(401)
    expect((await signIn(email, oldPassword)).statusCode).toBe(201)
    expect(await collection('identities').countDocuments({ userId: before?._id })).toBe(1)
    const entry = await collection('auditLog').findOne({ action: 'user.email_changed' })
    expect(entry).toMatchObject({
      before: { email: expect.stringMatching(/^m\*\*\*@/) },
      after: { email: 'p***@new.example' },
    })
    expect(JSON.stringify(entry)).not.toContain(email)
    expect((await rowOf('mina'))?.errands).toEqual([])
  })

  test('may be the same one in another case', async () => {
    const email = (await rowOf('mina'))?.email.toUpperCase() ?? ''
    await askChange('mina', email)
    expect((await change('mina', email, await codeFor(api, email))).json()).toMatchObject({ email })
    expect((await signIn(email.toLowerCase(), oldPassword)).statusCode).toBe(201)
  })

  test('needs the password; a wrong one is counted as a wrong sign-in', async () => {
    const wrong = await askChange('mina', newAddress(), 'wrong')
    expect(wrong.json()).toMatchObject({ status: 401, code: 'auth.invalid_credentials' })
    expect(await api.registry.metrics()).toMatch(/sign_ins_total\{outcome="refused"\} [1-9]/)
    const refusals = await collection('auditLog').countDocuments({ action: 'session.refused' })
    expect(refusals).toBeGreaterThan(0)
  })

  test('that somebody has looks like any other, and its owner is told', async () => {
    const observed = []
    for (const email of [newAddress(), api.emailOf('root')]) {
      await collection('codes').deleteMany({})
      const before = await countDocuments(api)
      const response = await askChange('mina', email)
      observed.push({ ...shapeOf(response), wrote: growth(before, await countDocuments(api)) })
      await api.mailTo(email)
      const refused = await change('mina', email, '000000')
      expect(refused.json()).toMatchObject(refusedCode)
    }
    expect(observed[0]).toEqual(observed[1])
    expect(await collection('identities').countDocuments()).toBeGreaterThan(6)
  })

  test('is not proven by a code that was mailed for somebody else', async () => {
    const email = newAddress()
    await askChange('mina', email)
    const code = await codeFor(api, email)
    expect((await change('root', email, code)).json()).toMatchObject(refusedCode)
    expect((await change('mina', email, code)).statusCode).toBe(200)
    expect((await change('mina', email, code)).json()).toMatchObject(refusedCode)
  })

  test('that was taken after the mail is not taken away again', async () => {
    const email = newAddress()
    await askChange('mina', email)
    const code = await codeFor(api, email)
    const identity = { _id: `email:${email}`, kind: 'Email', userId: 'u-somebody' } as const
    const { identities } = api.core.people.directory
    await identities.claim({ ...identity, creationTimeMs: Date.now() })
    expect((await change('mina', email, code)).json()).toMatchObject(refusedCode)
    expect(await identities.find(identity._id)).toMatchObject({ userId: 'u-somebody' })
  })

  test('may be two at once: the person ends with one, and signs in with it', async () => {
    const addresses = [newAddress(), newAddress()]
    const codes: string[] = []
    for (const email of addresses) {
      await askChange('mina', email)
      codes.push(await codeFor(api, email))
    }
    await Promise.all(
      addresses.map(async (email, index) => await change('mina', email, codes[index] ?? '')),
    )
    const mina = await rowOf('mina')
    expect(addresses).toContain(mina?.email)
    expect((await signIn(mina?.email ?? '', oldPassword)).statusCode).toBe(201)
  })

  test('is finished by the next try after a crash between identity and row', async () => {
    const email = newAddress()
    const mina = await rowOf('mina')
    const identity = { _id: `email:${email}`, kind: 'Email', userId: mina?._id ?? '' } as const
    await api.core.people.directory.identities.claim({ ...identity, creationTimeMs: 1 })
    await askChange('mina', email)
    expect((await change('mina', email, await codeFor(api, email))).statusCode).toBe(200)
    expect((await signIn(email, oldPassword)).statusCode).toBe(201)
  })

  test('takes an address over that a crash left to nobody', async () => {
    const email = newAddress()
    const { identities } = api.core.people.directory
    const left = { _id: `email:${email}`, kind: 'Email', userId: 'u-never-made' } as const
    await identities.claim({ ...left, creationTimeMs: Date.now() - 7_200_000 })
    await askChange('mina', email)
    expect((await change('mina', email, await codeFor(api, email))).statusCode).toBe(200)
    expect((await signIn(email, oldPassword)).statusCode).toBe(201)
  })

  test('gives the old one up even if the process ends right after the change', async () => {
    const former = `email:${newAddress()}`
    const mina = await rowOf('mina')
    const userId = mina?._id ?? ''
    const { identities } = api.core.people.directory
    await identities.claim({ _id: former, kind: 'Email', userId, creationTimeMs: 1 })
    const current = `email:${mina?.email.toLowerCase()}`
    const errands = [former, current].map((identityId) => ({
      _id: identityId,
      kind: 'ReleaseIdentity',
      identityId,
    }))
    await collection('users').updateOne({ name: 'Mina Moon' }, { $set: { errands } })
    await runTask(api, 'people-errands')
    expect(await identities.find(former)).toBeNull()
    expect(await identities.find(current)).toMatchObject({ userId })
  })
})
