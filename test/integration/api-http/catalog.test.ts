import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startApi, type TestApi } from './harness.ts'

let api: TestApi
beforeAll(async () => {
  api = await startApi()
})
afterAll(async () => {
  await api.close()
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
    expect(own.json().items).toHaveLength(1)
    expect(own.json()).toMatchObject({
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
      price: { flat: '0', perImage: '1.5', perMegapixelStep: '0', perTrainingStep: '0' },
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
