import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findAddressee } from '../../../src/api/features/codes/addressee.ts'
import { codeLimits } from '../../../src/api/features/codes/limits.ts'
import { createUserDirectory } from '../../../src/api/features/users/directory.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { medianOf } from '../../perf/print.ts'
import { eventually } from '../../support/eventually.ts'
import { startApi, type TestApi } from './harness.ts'
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
  wrongCode,
} from './mailed-codes.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi({ trustedProxies: ['127.0.0.1'], rateLimits: true })
})
afterAll(async () => {
  await api.close()
})

const post = poster(() => api)
const collection = (name: string) => api.core.database.native.collection(name)
const askCode = async (email: string, headers = fromAnywhere()) =>
  await post('/v1/sign-ups/codes', { email, language: 'en' }, { headers })
const bodyFor = (email: string, code: string, changes = {}) => ({
  email,
  code,
  password: goodPassword,
  name: 'Nora New',
  department: api.surroundings.quality,
  language: 'en',
  ...changes,
})
const signUp = async (email: string, code: string, changes = {}) =>
  await post('/v1/sign-ups', bodyFor(email, code, changes))
const codeOf = async (email: string): Promise<string> => {
  expect((await askCode(email)).statusCode).toBe(202)
  return await codeFor(api, email)
}

describe('signing up', () => {
  test('takes a mailed code, makes a guest, signs them in and tells who decides', async () => {
    const email = newAddress()
    const sent = await askCode(email)
    expect([sent.statusCode, sent.json()]).toEqual([202, { expiresIn: 600, digits: 6 }])
    const code = await codeFor(api, email)
    const stored = JSON.stringify(await collection('codes').find().toArray())
    expect(stored).not.toContain(`"${code}"`)
    expect(stored).not.toContain(email)

    const response = await signUp(email, code)
    expect(response.statusCode).toBe(201)
    const { user, accessToken } = response.json()
    expect(user).toMatchObject({ email, name: 'Nora New', role: 'guest', language: 'en' })
    const headers = { authorization: `Bearer ${accessToken}` }
    expect((await api.call({ url: '/v1/users/me', headers })).statusCode).toBe(200)
    expect((await api.call({ url: '/v1/jobs', headers })).statusCode).toBe(403)
    for (const person of ['lead', 'root'] as const) {
      expect((await api.mailTo(api.emailOf(person))).text).toContain('Nora New')
    }
    const entry = await collection('auditLog').findOne({ 'target.id': user.id })
    expect(entry).toMatchObject({
      action: 'user.signed_up',
      actor: { kind: 'User', id: user.id, role: 'guest' },
      origin: { ip: expect.stringMatching(/^\d+(\.\d+){3}$/) },
    })
    expect(JSON.stringify(entry)).not.toContain('Nora New')
    expect(await collection('users').findOne({ email })).toMatchObject({ errands: [] })
  })

  test('in a browser keeps the tokens in cookies', async () => {
    const email = newAddress()
    const response = await signUp(email, await codeOf(email), { transport: 'Cookie' })
    expect(response.json()).toMatchObject({ accessToken: null, refreshToken: null })
    expect(response.cookies.map(({ name }) => name)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^__Host-/)]),
    )
  })

  test('lists the departments to everybody, with nothing but their names', async () => {
    const response = await api.call({ url: '/v1/sign-ups/departments?limit=100' })
    const { quality } = api.surroundings
    expect(response.json().items).toContainEqual({
      name: quality,
      displayName: `Department ${quality}`,
    })
  })

  test('refuses a weak password and an unknown department before it counts a try', async () => {
    const email = newAddress()
    const code = await codeOf(email)
    const local = email.split('@')[0] ?? ''
    for (const password of ['password123', 'atelier-2024', `${local}1`]) {
      const weak = await signUp(email, code, { password })
      expect(weak.json()).toMatchObject({ status: 400, errors: [{ path: '/password' }] })
    }
    for (let turn = 0; turn < codeLimits.triesMax; turn += 1) {
      const nowhere = await signUp(email, code, { department: 'nowhere' })
      expect(nowhere.json()).toMatchObject({ status: 404, code: 'department.not_found' })
    }
    expect((await signUp(email, code)).statusCode).toBe(201)
  })

  test('at once twenty times with one code makes one account', async () => {
    const email = newAddress()
    const code = await codeOf(email)
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => await signUp(email, code)),
    )
    const statuses = answers.map(({ statusCode }) => statusCode)
    expect(statuses.filter((status) => status === 201)).toHaveLength(1)
    expect(statuses.filter((status) => status !== 201 && status !== 422)).toEqual([])
    expect(await collection('users').countDocuments({ email })).toBe(1)
  })

  test('finishes what a crash left between the identity and the person', async () => {
    const email = newAddress()
    const userId = 'u-left-by-a-crash'
    const left = { _id: `email:${email}`, kind: 'Email', userId, creationTimeMs: Date.now() }
    await api.core.people.directory.identities.claim({ ...left, kind: 'Email' })
    const response = await signUp(email, await codeOf(email))
    expect(response.json().user.id).toBe(userId)
  })

  test('keeps the address that a crash left long ago while it finishes it', async () => {
    const email = newAddress()
    const { directory, users, ...people } = api.core.people
    const { identities } = directory
    const identity = { _id: `email:${email}`, kind: 'Email' } as const
    const left = { ...identity, userId: `u-left-${email.slice(2, 14)}` }
    await identities.claim({ ...left, creationTimeMs: Date.now() - 7_200_000 })
    const insert: typeof users.insert = async (row) => {
      // Somebody asks for a code for the same address right before the row is there.
      await findAddressee({ directory, clock: systemClock }, email)
      return await users.insert(row)
    }
    const parts = { ...people, users: { ...users, insert }, identities, clock: systemClock }
    const draft = { email, name: 'Nora New', language: 'en', role: 'guest' } as const
    const made = await createUserDirectory(parts).create(
      { ...draft, department: api.surroundings.quality, passwordHash: null },
      { identity, action: 'user.signed_up' },
    )
    expect(await identities.find(identity._id)).toMatchObject({ userId: made?._id })
    expect(await directory.findByEmail(email)).toMatchObject({ _id: left.userId })
  })

  test('frees an address that a crash left to somebody who has another one by now', async () => {
    const email = newAddress()
    const { directory } = api.core.people
    const mina = await directory.findByEmail(api.emailOf('mina'))
    const identity = { _id: `email:${email}`, kind: 'Email', userId: mina?._id ?? '' } as const
    await directory.identities.claim({ ...identity, creationTimeMs: Date.now() - 7_200_000 })
    expect((await signUp(email, await codeOf(email))).statusCode).toBe(201)
  })

  test('with a right code for an address that was taken meanwhile is refused', async () => {
    const email = newAddress()
    const code = await codeOf(email)
    const { directory } = api.core.people
    const mina = await directory.findByEmail(api.emailOf('mina'))
    await directory.identities.claim({
      _id: `email:${email}`,
      kind: 'Email',
      userId: mina?._id ?? '',
      creationTimeMs: Date.now(),
    })
    expect((await signUp(email, code)).json()).toMatchObject(refusedCode)
  })
})

describe('a code', () => {
  test('is good once, and one sentence is all that every refusal says', async () => {
    const email = newAddress()
    const code = await codeOf(email)
    const wrong = await signUp(email, wrongCode(code))
    expect((await signUp(email, code)).statusCode).toBe(201)
    const used = await signUp(email, code)
    const unknown = await signUp(newAddress(), code)
    expect(wrong.json()).toMatchObject(refusedCode)
    expect(shapeOf(used)).toEqual(shapeOf(wrong))
    expect(shapeOf(unknown)).toEqual(shapeOf(wrong))
  })

  test('is good at the fifth try and not at the sixth', async () => {
    for (const [wrongTries, status] of [
      [4, 201],
      [5, 422],
    ] as const) {
      const email = newAddress()
      const code = await codeOf(email)
      for (let turn = 0; turn < wrongTries; turn += 1) await signUp(email, wrongCode(code))
      expect((await signUp(email, code)).statusCode).toBe(status)
    }
  })

  test('counts five tries at once as five', async () => {
    const email = newAddress()
    const code = await codeOf(email)
    await Promise.all(Array.from({ length: 5 }, async () => await signUp(email, wrongCode(code))))
    expect((await signUp(email, code)).json()).toMatchObject(refusedCode)
  })

  test('is replaced by the next one, which has all its tries', async () => {
    const email = newAddress()
    const first = await codeOf(email)
    for (let turn = 0; turn < 5; turn += 1) await signUp(email, wrongCode(first))
    const second = await codeOf(email)
    // Once in a million runs the two are the same.
    const old = first === second ? wrongCode(second) : first
    expect((await signUp(email, old)).statusCode).toBe(422)
    expect((await signUp(email, second)).statusCode).toBe(201)
  })

  test('is refused when its time is over, and then removed', async () => {
    const email = newAddress()
    const code = await codeOf(email)
    await collection('codes').updateMany({}, { $set: { expiresMs: Date.now() } })
    expect((await signUp(email, code)).json()).toMatchObject(refusedCode)
    await runTask(api, 'remove-expired-codes')
    expect(await collection('codes').countDocuments()).toBe(0)
  })

  test('for one purpose is not good for another', async () => {
    const email = newAddress()
    const code = await codeOf(email)
    const body = { email, code, password: goodPassword }
    expect((await post('/v1/password-resets', body)).json()).toMatchObject(refusedCode)
    expect((await signUp(email, code)).statusCode).toBe(201)
  })
})

const from = (host: string) => ({ 'x-forwarded-for': `2001:db8:77:1::${host}` })

describe('mailing codes', () => {
  const limited = { status: 429, code: 'rate.limited', limit: 3, count: 3 }

  test('to one address stops after three, whoever asks, known or not', async () => {
    const answers = []
    for (const email of [newAddress(), api.emailOf('sam')]) {
      for (let send = 0; send < 3; send += 1) {
        expect((await askCode(email.toUpperCase())).statusCode).toBe(202)
      }
      const refused = await post('/v1/password-resets/codes', { email })
      expect(refused.json()).toMatchObject(limited)
      const seconds = Number(refused.headers['retry-after'])
      expect(seconds).toBeGreaterThan(880)
      expect(seconds).toBeLessThanOrEqual(900)
      answers.push({ ...shapeOf(refused), headers: Object.keys(refused.headers) })
    }
    expect(answers[0]).toEqual(answers[1])
  })

  test('for one network stops after three, and uses up nobody’s address', async () => {
    const email = newAddress()
    const addresses = [newAddress(), newAddress(), newAddress(), email]
    const answers = await Promise.all(
      addresses.map(async (one, index) => await askCode(one, from(String(index)))),
    )
    const statuses = answers.map(({ statusCode }) => statusCode)
    expect(statuses.filter((status) => status === 202)).toHaveLength(3)
    expect(statuses.filter((status) => status === 429)).toHaveLength(1)
    for (let turn = 0; turn < 5; turn += 1) {
      expect((await askCode(email, from('9'))).json()).toMatchObject(limited)
    }
    const other = { 'x-forwarded-for': '2001:db8:77:2::1' }
    expect((await askCode(email, other)).statusCode).toBe(202)
  })

  test('at once counts each: of ten for one address three are mailed', async () => {
    const email = newAddress()
    const answers = await Promise.all(Array.from({ length: 10 }, async () => await askCode(email)))
    expect(answers.filter(({ statusCode }) => statusCode === 202)).toHaveLength(3)
  })

  test('goes on when the window has moved on, up to ten in a day', async () => {
    const email = newAddress()
    const sends = collection('codeSends')
    const known = (await sends.find().toArray()).map(({ _id }) => _id)
    let sent = 0
    for (; (await askCode(email)).statusCode === 202; sent += 1) {
      // As if the last send had been 16 minutes ago.
      const mine = { _id: { $nin: known, $regex: '^address:' } }
      const row = await sends.findOne<{ _id: string; timesMs: number[] }>(mine as object)
      const timesMs = row?.timesMs.map((timeMs) => timeMs - 960_000) ?? []
      await sends.updateOne({ _id: row?._id } as object, { $set: { timesMs } })
    }
    expect(sent).toBe(10)
    expect((await askCode(email)).json()).toMatchObject({ code: 'rate.limited', limit: 10 })
  })
})

const timeOf = async (email: string): Promise<number> => {
  await collection('codeSends').deleteMany({})
  const started = performance.now()
  await post('/v1/password-resets/codes', { email })
  return performance.now() - started
}

describe('whether somebody has an account', () => {
  const kinds = ['unknown', 'known', 'disabled'] as const
  const addressOf = { unknown: () => newAddress(), known: () => '', disabled: () => '' }

  beforeAll(async () => {
    addressOf.known = () => api.emailOf('noor')
    addressOf.disabled = () => api.emailOf('poor')
    await collection('users').updateOne(
      { email: api.emailOf('poor') },
      { $set: { state: 'Disabled' } },
    )
  })

  test.each(['/v1/sign-ups/codes', '/v1/password-resets/codes'])(
    'is not told by %s: status, headers, body and writes are the same',
    async (url) => {
      const observed = []
      for (const kind of kinds) {
        await collection('codeSends').deleteMany({})
        await collection('codes').deleteMany({})
        const before = await countDocuments(api)
        const started = performance.now()
        const response = await post(url, { email: addressOf[kind](), language: 'en' })
        const tookMs = performance.now() - started
        const written = growth(before, await countDocuments(api))
        observed.push({ kind, tookMs, seen: { ...shapeOf(response), written } })
      }
      const [first, ...others] = observed
      for (const { seen } of others) expect(seen).toEqual(first?.seen)
      expect(first?.seen).toMatchObject({ status: 202, written: { codes: 1, mails: 1 } })
    },
  )

  test('takes the same time: the ratio of medians is printed', async () => {
    const times = { unknown: [] as number[], known: [] as number[] }
    // In turn, so that whatever else the machine does slows both down.
    for (let turn = 0; turn < 15; turn += 1) {
      times.unknown.push(await timeOf(addressOf.unknown()))
      times.known.push(await timeOf(addressOf.known()))
    }
    const [unknown, known] = [medianOf(times.unknown), medianOf(times.known)]
    process.stdout.write(`known / unknown address: ${(known / unknown).toFixed(2)}\n`)
    expect(known / unknown).toBeLessThan(5)
    expect(unknown / known).toBeLessThan(5)
  })

  test('is told by mail to the owner of the address only', async () => {
    await collection('codeSends').deleteMany({})
    const subjects = async (email: string, template: string) =>
      await eventually(() => {
        const found = api.mails().filter(({ to, text }) => to === email && text.includes(template))
        if (found.length === 0) throw new Error(`no mail to ${email} yet`)
        return found.at(-1)?.code ?? null
      })
    expect(await subjects(api.emailOf('noor'), 'account')).toBeNull()
    expect(await subjects(api.emailOf('poor'), 'account')).toBeNull()
  })

  test('leaves no code, password or address in the log', () => {
    const text = api.logged.join('\n')
    expect(text).not.toContain('@new.example')
    expect(text).not.toContain(goodPassword)
    const codes = api.mails().flatMap(({ code }) => (code === null ? [] : [`"${code}"`]))
    expect(codes.filter((code) => text.includes(code))).toEqual([])
  })
})
