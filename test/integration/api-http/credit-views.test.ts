import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { eventually } from '../../support/eventually.ts'
import { type CreditScene, newKey, openCreditScene } from './credit-scene.ts'
import type { Person } from './harness.ts'

let scene: CreditScene
beforeAll(async () => {
  scene = await openCreditScene()
})
afterAll(async () => {
  await scene.close()
})

const zero = { available: '0', held: '0', spent: '0' }
const whose = (user: string) => ({ department: scene.quality, user })
const issue = async (user: string, changes: object = {}) => {
  const response = await scene.post('root', 'issues', { ...whose(user), credits: '1', ...changes })
  expect(response.statusCode).toBe(201)
}

describe('an account', () => {
  test('is one’s own by default, by lot, those that lapse first in front', async () => {
    const user = scene.idOf('noor')
    const [late, soon] = ['2099-01-01T00:00:00.000Z', '2098-01-01T00:00:00.000Z']
    await issue(user, { credits: '2', expiresTime: late })
    await issue(user, { credits: '3', expiresTime: soon })
    await scene.api.core.accounts.hold(accountIdOf(whose(user)), newKey(), 4_000_000)
    const account = await scene.account('noor')
    expect(account).toMatchObject({
      ...whose(user),
      available: '100001',
      held: '4',
      issued: '100005',
      openHolds: 1,
    })
    expect(account.lots.map(({ id: _id, ...lot }) => lot)).toEqual([
      { available: '0', held: '3', expiresTime: soon },
      { available: '1', held: '1', expiresTime: late },
      { available: '100000', held: '0', expiresTime: null },
    ])
    const { available, held, spent } = account
    const profile = (await scene.api.call({ url: '/v1/users/me', as: 'noor' })).json()
    expect(profile).toMatchObject({ balance: available })
    expect([held, spent]).toEqual(['4', '0'])
  })

  test('counts what has lapsed as expired before the ledger books it off', async () => {
    const user = await scene.hire()
    await issue(user, { expiresTime: new Date(Date.now() + 5000).toISOString() })
    await issue(user, { credits: '2' })
    expect((await scene.account('lead', whose(user))).available).toBe('3')
    const account = await eventually(async () => {
      const seen = await scene.account('lead', whose(user))
      expect(seen).toMatchObject({ available: '2', expired: '1', issued: '3' })
      return seen
    })
    expect(account.lots).toHaveLength(1)
    const { items } = await scene.entries('lead', whose(user))
    expect(items.map(({ kind }) => kind)).toEqual(['Issue', 'Issue'])
  })

  test('of somebody new is empty', async () => {
    const user = await scene.hire()
    const account = await scene.account('lead', whose(user))
    expect(account).toMatchObject({ ...zero, ...whose(user), lots: [], openHolds: 0 })
    expect(await scene.entries('lead', whose(user))).toEqual({ items: [], next: null })
  })

  test('is there for those alone who may see it', async () => {
    const { quality, research, idOf } = scene
    const ofMina = whose(idOf('mina'))
    const ofSam = { department: research, user: idOf('sam') }
    const cells: readonly (readonly [Person, Record<string, string>, number])[] = [
      ['mina', ofMina, 200],
      ['mina', { user: idOf('mina') }, 200],
      ['noor', ofMina, 404],
      ['sam', ofMina, 404],
      ['lead', ofMina, 200],
      ['root', ofMina, 200],
      ['lead', ofSam, 404],
      ['root', ofSam, 200],
      ['mina', { department: quality }, 404],
      ['lead', { department: quality }, 200],
      ['lead', { department: research }, 404],
      ['root', { department: 'nothing' }, 404],
      ['lead', whose('nobody'), 404],
      ['lead', whose(idOf('sam')), 404],
      ['mina', { department: research, user: idOf('mina') }, 404],
      ['gast', {}, 403],
    ]
    for (const [person, query, status] of cells) {
      for (const path of ['account', 'entries', 'entries/export']) {
        const { statusCode, body } = await scene.get(person, path, query)
        expect([person, query, path, statusCode]).toEqual([person, query, path, status])
        expect(body.includes('credits.account_not_found')).toBe(status === 404)
      }
    }
  })
})

const pages = async (limit: string) => {
  const items = []
  let query: Record<string, string> = { limit }
  for (let count = 0; count < 50; count += 1) {
    const page = await scene.accounts('lead', query)
    expect(page.items.length).toBeLessThanOrEqual(Number(limit))
    items.push(...page.items)
    if (page.next === null) return items
    query = { limit, cursor: page.next }
  }
  throw new Error('the list has no end')
}

describe('the accounts of a department', () => {
  test('are its own, its members’ and those of who has left, whatever the pages', async () => {
    const [fresh, gone, moved] = [await scene.hire(), await scene.hire(), await scene.hire()]
    for (const user of [gone, moved]) await issue(user)
    await scene.api.call({ method: 'DELETE', url: `/v1/users/${gone}`, as: 'root' })
    const body = { department: scene.research }
    const url = `/v1/users/${moved}/department`
    await scene.api.call({ method: 'PUT', url, as: 'root', body })
    const all = await pages('100')
    expect(all[0]).toMatchObject({ user: null, kind: 'Department', name: null })
    const kinds = new Map(all.map(({ user, kind, name }) => [user, [kind, name]]))
    expect(kinds.get(fresh)).toEqual(['Member', '=Hired()'])
    expect(kinds.get(gone)).toEqual(['FormerMember', null])
    expect(kinds.get(moved)).toEqual(['FormerMember', '=Hired()'])
    expect(kinds.get(scene.idOf('mina'))).toEqual(['Member', 'Mina Moon'])
    expect(kinds.has(scene.idOf('sam'))).toBe(false)
    for (const limit of ['1', '2', '3', '7']) expect(await pages(limit)).toEqual(all)
  })

  test('are for members their own, and for others not there', async () => {
    const own = await scene.accounts('mina')
    expect(own).toMatchObject({ items: [{ user: scene.idOf('mina'), kind: 'Member' }], next: null })
    const { research: department } = scene
    for (const person of ['mina', 'lead'] as const) {
      const response = await scene.get(person, 'accounts', { department })
      expect(response.json()).toMatchObject({ status: 404, code: 'department.not_found' })
    }
    expect((await scene.accounts('root', { department })).items[0]?.department).toBe(department)
  })

  test.each([
    ['accounts', { cursor: 'bm90LWEtY3Vyc29y' }, 'cursor'],
    ['entries', { cursor: 'bm90LWEtY3Vyc29y' }, 'cursor'],
    ['entries', { cursor: 'Png' }, 'cursor'],
    ['entries', { kind: 'Gift' }, 'kind'],
    ['entries', { limit: '101' }, 'limit'],
    ['entries/export', { limit: '1' }, 'limit'],
    ['entries/export', { before: '0' }, 'before'],
    ['account', { user: '../x' }, 'user'],
  ])('%s refuses %j', async (path, query, name) => {
    const response = await scene.get('lead', path, query)
    expect(response.json()).toMatchObject({ status: 400, errors: [{ path: name }] })
  })
})
