import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { canaryPassword } from '../../support/canary.ts'
import { startApi, type TestApi } from './harness.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
})

const signIn = async (body: unknown) =>
  await api.call({ method: 'POST', url: '/v1/sessions', body })

describe('signing in', () => {
  test('gives tokens for an hour and for a week, and says who that is', async () => {
    const response = await signIn({
      email: api.emailOf('mina'),
      password: canaryPassword,
    })
    expect(response.statusCode).toBe(201)
    expect(response.json()).toEqual({
      id: expect.stringMatching(/^[0-9a-z]{26}$/),
      accessToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      tokenType: 'Bearer',
      expiresIn: 3600,
      refreshToken: expect.stringMatching(/^atr_[0-9a-z]{26}_[\w-]{43}_[0-9a-f]{32}$/),
      refreshExpiresTime: expect.any(String),
      user: {
        id: expect.stringMatching(/^u-[0-9a-z]{26}$/),
        email: api.emailOf('mina'),
        name: 'Mina Moon',
        language: 'en',
        role: 'department_member',
        department: api.surroundings.quality,
      },
    })
    const lifeMs = Date.parse(response.json().refreshExpiresTime) - Date.now()
    expect(Math.round(lifeMs / 86_400_000)).toBe(7)
    expect(response.headers['cache-control']).toBe('no-store')
    expect(response.headers['set-cookie']).toBeUndefined()
  })

  test('does not care about the case of the address', async () => {
    const email = api.emailOf('mina').toUpperCase()
    expect((await signIn({ email, password: canaryPassword })).statusCode).toBe(201)
  })

  test('answers the same to a wrong password and to an unknown address', async () => {
    const wrong = await signIn({ email: api.emailOf('mina'), password: 'wrong' })
    const unknown = await signIn({ email: 'nobody@nowhere.example', password: 'wrong' })
    expect(wrong.statusCode).toBe(401)
    expect({ ...wrong.json(), instance: '' }).toEqual({ ...unknown.json(), instance: '' })
    expect(Object.keys(wrong.headers).toSorted()).toEqual(Object.keys(unknown.headers).toSorted())
  })

  test('that is refused is in the audit log, without the address of nobody', async () => {
    await signIn({ email: 'ghost@nowhere.example', password: 'wrong' })
    await signIn({ email: 'Ghost@nowhere.example', password: 'wrong' })
    await signIn({ email: api.emailOf('noor'), password: 'wrong' })
    const page = await api.core.people.auditLog.page({ action: 'session.refused', limit: 3 })
    const noor = await api.core.people.directory.findByEmail(api.emailOf('noor'))
    const [known, second, first] = page.map(({ target }) => target)
    expect(known).toEqual({ kind: 'User', id: noor?._id, department: noor?.department })
    expect(first).toEqual({ kind: 'Address', id: expect.any(String), department: null })
    expect(second).toEqual(first)
    expect(page[0]?.origin).toMatchObject({ ip: '127.0.0.1' })
    expect(JSON.stringify(page)).not.toContain('ghost')
  })

  test.each([
    ['no body', undefined, ['']],
    ['an empty object', {}, ['/email', '/password']],
    ['an address that is none', { email: 'mina', password: 'x' }, ['/email']],
    [
      'operators instead of text',
      { email: { $gt: '' }, password: { $ne: null } },
      ['/email', '/password'],
    ],
    [
      'a password that is too long',
      { email: 'a@b.example', password: 'x'.repeat(129) },
      ['/password'],
    ],
    ['an extra field', { email: 'a@b.example', password: 'x', role: 'super_admin' }, ['/role']],
  ])('refuses %s and names the fields', async (_name, body, paths) => {
    const response = await signIn(body)
    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({
      code: 'request.invalid',
      errors: paths.map((path) => expect.objectContaining({ path })),
    })
  })

  test('many at once are bounded, not queued without end', async () => {
    const body = { email: 'nobody@nowhere.example', password: 'wrong' }
    const answers = await Promise.all(Array.from({ length: 60 }, async () => await signIn(body)))
    const statuses = new Set(answers.map(({ statusCode }) => statusCode))
    expect(statuses).toEqual(new Set([401, 429]))
    const refused = answers.find(({ statusCode }) => statusCode === 429)
    expect(Number(refused?.headers['retry-after'])).toBeGreaterThan(0)
  })

  test('leaves no password, token or address in the log', async () => {
    const text = api.logged.join('\n')
    expect(text).toContain('request answered')
    expect(text).not.toContain(canaryPassword)
    expect(text).not.toContain(api.emailOf('mina'))
    expect(text).not.toContain(await api.tokenOf('mina'))
  })

  test('is counted by outcome', async () => {
    const text = await api.registry.metrics()
    expect(text).toMatch(/atelier_api_sign_ins_total\{outcome="accepted"\} [1-9]/)
    expect(text).toMatch(/atelier_api_sign_ins_total\{outcome="refused"\} [1-9]/)
    expect(text).not.toContain('@')
  })
})
