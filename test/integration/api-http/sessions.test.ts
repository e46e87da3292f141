import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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
  test('gives a bearer token for an hour and says who that is', async () => {
    const response = await signIn({
      email: api.emailOf('mina'),
      password: 'correct horse battery',
    })
    expect(response.statusCode).toBe(201)
    expect(response.json()).toEqual({
      accessToken: expect.stringMatching(/^[\w-]+\.[\w-]+\.[\w-]+$/),
      tokenType: 'Bearer',
      expiresIn: 3600,
      user: {
        id: expect.stringMatching(/^u-[0-9a-f]{24}$/),
        email: api.emailOf('mina'),
        name: 'Mina Moon',
        role: 'department_member',
        department: api.surroundings.quality,
      },
    })
    expect(response.headers['cache-control']).toBe('no-store')
  })

  test('does not care about the case of the address', async () => {
    const email = api.emailOf('mina').toUpperCase()
    expect((await signIn({ email, password: 'correct horse battery' })).statusCode).toBe(201)
  })

  test('answers the same to a wrong password and to an unknown address', async () => {
    const wrong = await signIn({ email: api.emailOf('mina'), password: 'wrong' })
    const unknown = await signIn({ email: 'nobody@nowhere.example', password: 'wrong' })
    expect(wrong.statusCode).toBe(401)
    expect({ ...wrong.json(), instance: '' }).toEqual({ ...unknown.json(), instance: '' })
    expect(Object.keys(wrong.headers).toSorted()).toEqual(Object.keys(unknown.headers).toSorted())
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
    expect(text).not.toContain('correct horse battery')
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

describe('the profile', () => {
  test('has the balance of one’s own account', async () => {
    const response = await api.call({ url: '/v1/users/me', as: 'mina' })
    expect(response.statusCode).toBe(200)
    expect(response.json()).toMatchObject({ name: 'Mina Moon', balance: '100000' })
    const poor = await api.call({ url: '/v1/users/me', as: 'poor' })
    expect(poor.json()).toMatchObject({ name: 'poor', balance: '0' })
  })

  test('is there for a guest too', async () => {
    const response = await api.call({ url: '/v1/users/me', as: 'gast' })
    expect(response.json()).toMatchObject({ role: 'guest' })
  })
})

describe('departments', () => {
  test('are one’s own, or all for a super admin', async () => {
    const { quality, research } = api.surroundings
    const own = await api.call({ url: '/v1/departments', as: 'mina' })
    expect(own.json()).toEqual({
      items: [{ name: quality, displayName: `Department ${quality}` }],
      next: null,
    })
    const all = await api.call({ url: '/v1/departments', as: 'root' })
    expect(all.json().items).toHaveLength(2)
    const first = await api.call({ url: '/v1/departments?limit=1', as: 'root' })
    const url = `/v1/departments?limit=1&cursor=${first.json().next}`
    const second = await api.call({ url, as: 'root' })
    expect([first, second].map((page) => page.json().items[0].name)).toEqual([quality, research])
    expect(second.json().next).toBeNull()
  })
})

describe('models', () => {
  test('are those that are ready and visible to one’s department', async () => {
    const { model, secretModel, unreadyModel } = api.surroundings
    const mine = [model, secretModel, unreadyModel]
    const namesFor = async (person: 'mina' | 'sam') => {
      const response = await api.call({ url: '/v1/models?limit=100', as: person })
      const names: string[] = response.json().items.map(({ name }: { name: string }) => name)
      return names.filter((name) => mine.includes(name))
    }
    expect(await namesFor('mina')).toEqual([model])
    expect(await namesFor('sam')).toEqual([model, secretModel])
  })

  test('show what a client needs and not where the weights lie', async () => {
    const { model } = api.surroundings
    const response = await api.call({ url: `/v1/models/${model}`, as: 'mina' })
    expect(response.statusCode).toBe(200)
    expect(response.json()).toMatchObject({
      name: model,
      type: 'Base',
      tasks: ['TextToImage', 'ImageToImage', 'Inpaint'],
      price: { perImage: '1.5' },
    })
    expect(response.json()).not.toHaveProperty('delivery')
  })

  test('that are hidden, not ready or unknown are all the same 404', async () => {
    const { secretModel, unreadyModel } = api.surroundings
    for (const name of [secretModel, unreadyModel, 'nothing']) {
      const response = await api.call({ url: `/v1/models/${name}`, as: 'mina' })
      expect(response.json()).toMatchObject({ status: 404, code: 'model.not_found' })
    }
  })

  test.each(['limit=0', 'limit=101', 'limit=x', 'limit=1&limit=2', 'limit=1.5', 'limit='])(
    'refuse ?%s and name the limit',
    async (query) => {
      const response = await api.call({ url: `/v1/models?${query}`, as: 'mina' })
      expect(response.statusCode).toBe(400)
      expect(response.json().errors).toMatchObject([{ path: 'limit' }])
    },
  )

  test.each(['cursor=nonsense', 'cursor=%24gt', 'cursor=a&cursor=b', `cursor=${'a'.repeat(300)}`])(
    'refuse ?%s and name the cursor',
    async (query) => {
      const response = await api.call({ url: `/v1/models?${query}`, as: 'mina' })
      expect(response.statusCode).toBe(400)
      expect(response.json().errors).toMatchObject([{ path: 'cursor' }])
    },
  )
})
