import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { forgetNotifications } from '../../../src/api/features/notifications/notifier.ts'
import { notificationPage, notificationView } from '../../../src/shared/wire/notifications.ts'
import { userView } from '../../../src/shared/wire/sessions.ts'
import { eventually } from '../../support/eventually.ts'
import { type Person, startApi, type TestApi } from './harness.ts'
import { createRealtimeScene, type RealtimeScene } from './realtime-scene.ts'

let api: TestApi
let scene: RealtimeScene
beforeAll(async () => {
  api = await startApi()
  scene = createRealtimeScene(api, await api.api.app.listen({ host: '127.0.0.1', port: 0 }))
})
afterAll(async () => {
  await api.close()
})

const idOf = async (person: Person): Promise<string> =>
  userView.parse((await api.call({ url: '/v1/users/me', as: person })).json()).id

const list = async (person: Person, query = '') => {
  const response = await api.call({ url: `/v1/notifications${query}`, as: person })
  expect(response.statusCode).toBe(200)
  return notificationPage.parse(response.json())
}

const read = async (person: Person, id: string) =>
  await api.call({ method: 'POST', url: `/v1/notifications/${id}/read`, as: person })

/** A fact with an id of its own; several at the same moment keep their order. */
async function tell(person: Person, count = 1): Promise<readonly string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index += 1) {
    const id = api.core.people.newId()
    const fact = { kind: 'RoleChanged', values: { role: 'department_admin' } } as const
    await api.core.people.notifier.notify({ id, userId: await idOf(person), fact })
    ids.push(`${id}.${await idOf(person)}`)
  }
  return ids.toSorted((left, right) => (left < right ? 1 : -1))
}

describe('notifications', () => {
  test('come once however often the fact is told, newest first, to their person only', async () => {
    const userId = await idOf('gast')
    const notice = {
      id: api.core.people.newId(),
      userId,
      fact: { kind: 'AccountApproved', values: { department: 'quality' } },
    } as const
    const { notifier } = api.core.people
    await Promise.all([notifier.notify(notice), notifier.notify(notice)])
    await notifier.notify(notice)
    const { items, unread } = await list('gast')
    expect(items).toHaveLength(1)
    expect(unread).toBe(1)
    expect(items[0]).toMatchObject({
      id: `${notice.id}.${userId}`,
      kind: 'AccountApproved',
      values: { department: 'quality' },
      readTime: null,
    })
    expect((await list('sam')).items).toEqual([])
    expect((await read('sam', items[0]?.id ?? '')).statusCode).toBe(404)
  })

  test('one fact may be told to several people', async () => {
    const id = api.core.people.newId()
    const values = { userId: 'u-x', name: 'Guest', department: 'quality' }
    for (const person of ['lead', 'root'] as const) {
      const fact = { kind: 'GuestWaits', values } as const
      await api.core.people.notifier.notify({ id, userId: await idOf(person), fact })
    }
    expect((await list('lead')).items[0]?.values).toEqual(values)
    expect((await list('root')).items[0]?.values).toEqual(values)
  })

  test('are paged, counted and read one by one or all at once', async () => {
    const ids = await tell('noor', 5)
    const first = await list('noor', '?limit=2')
    expect(first.items.map(({ id }) => id)).toEqual(ids.slice(0, 2))
    expect(first.unread).toBe(5)
    const second = await list('noor', `?limit=3&cursor=${first.next}`)
    expect(second.items.map(({ id }) => id)).toEqual(ids.slice(2))
    expect(second.next).toBeNull()
    const once = notificationView.parse((await read('noor', ids[1] ?? '')).json())
    expect(once.readTime).not.toBeNull()
    const again = notificationView.parse((await read('noor', ids[1] ?? '')).json())
    expect(again.readTime).toBe(once.readTime)
    const unread = await list('noor', '?unread=true')
    expect(unread.items.map(({ id }) => id)).toEqual(ids.filter((id) => id !== ids[1]))
    expect(unread.unread).toBe(4)
    const all = { method: 'POST', url: '/v1/notifications/read', as: 'noor' } as const
    expect((await api.call(all)).statusCode).toBe(204)
    expect((await api.call(all)).statusCode).toBe(204)
    expect(await list('noor', '?unread=true')).toEqual({ items: [], next: null, unread: 0 })
  })

  test('with an odd id, cursor or filter are refused', async () => {
    for (const id of ['x', 'a'.repeat(300), '%24gt']) {
      expect((await read('noor', id)).statusCode).toBeLessThan(500)
    }
    const unknown = `${api.core.people.newId()}.${await idOf('noor')}`
    expect((await read('noor', unknown)).statusCode).toBe(404)
    for (const query of ['cursor=AAAA', 'unread=maybe', 'limit=0', 'limit=101', 'more=1']) {
      const response = await api.call({ url: `/v1/notifications?${query}`, as: 'noor' })
      expect([query, response.statusCode]).toEqual([query, 400])
    }
  })

  test('reach open sockets at once, and those that come back with a cursor', async () => {
    const client = await scene.open('mina')
    const cursor = client.cursor()
    const [id] = await tell('mina')
    await eventually(() => expect(client.of('notification')).toHaveLength(1))
    expect(client.of('notification')[0]).toMatchObject({ id, data: { kind: 'RoleChanged' } })
    await client.close()
    const back = await scene.open('mina', { cursor })
    await eventually(() => expect(back.of('notification').map((one) => one.id)).toContain(id))
    await back.close()
  })

  test('go after 90 days', async () => {
    const { notifications } = api.core.people
    const [id = ''] = await tell('poor')
    const dayMs = 24 * 3600 * 1000
    await forgetNotifications(notifications, Date.now() + 89 * dayMs)
    expect(await notifications.find(id)).not.toBeNull()
    await forgetNotifications(notifications, Date.now() + 91 * dayMs)
    expect(await notifications.find(id)).toBeNull()
  })
})
