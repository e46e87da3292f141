import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { distributionView } from '../../../src/shared/wire/credits.ts'
import { type CreditScene, newKey, openCreditScene, type Wish } from './credit-scene.ts'
import type { Person } from './harness.ts'

let scene: CreditScene
beforeAll(async () => {
  scene = await openCreditScene()
})
afterAll(async () => {
  await scene.close()
})
beforeEach(async () => {
  await scene.empty()
})

const audited = async (action: string, target: string) => {
  const url = `/v1/audit-log?action=${action}&target=${target}&limit=100`
  return auditLogPage.parse((await scene.api.call({ url, as: 'root' })).json()).items
}
const departmentAccount = async () => await scene.account('root', { department: scene.quality })
const insufficient = (missing: string, available: string) => ({
  status: 402,
  code: 'credits.insufficient',
  missing,
  available,
})

const give = async (as: Person, members: readonly object[], changes: Wish = {}) =>
  await scene.post(as, 'distributions', { department: scene.quality, members, ...changes })

describe('a distribution', () => {
  test('gives several people credits at once, with their expiry, and tells them', async () => {
    const expiresTime = '2099-01-01T00:00:00.000Z'
    await scene.fund('10', scene.quality, expiresTime)
    const [one, two] = [await scene.hire(), await scene.hire()]
    const members = [
      { user: one, credits: '2.5' },
      { user: two, credits: '0.000001' },
    ]
    const response = await give('lead', members, { reason: 'for the fair' })
    expect(response.statusCode).toBe(201)
    const view = distributionView.parse(response.json())
    expect(view).toMatchObject({ credits: '2.500001', department: { available: '7.499999' } })
    expect(view.members).toMatchObject([
      { user: one, available: '2.5' },
      { user: two, available: '0.000001' },
    ])
    const account = await scene.account('lead', { user: one })
    expect(account.lots).toMatchObject([{ available: '2.5', expiresTime }])
    expect(await scene.toldTo(one)).toMatchObject([
      { kind: 'CreditsReceived', account: 'Member', credits: '2.5', reason: 'for the fair' },
    ])
    const target = accountIdOf({ department: scene.quality, user: two })
    expect(await audited('credits.distributed', target)).toMatchObject([
      { actor: { id: scene.idOf('lead') }, after: { credits: '0.000001', entry: view.id } },
    ])
  })

  test('takes exactly what is there and refuses one micro-credit more, for all', async () => {
    await scene.fund('3')
    const [one, two] = [await scene.hire(), await scene.hire()]
    const members = (credits: string) => [
      { user: one, credits: '1' },
      { user: two, credits },
    ]
    const refused = await give('lead', members('2.000001'))
    expect(refused.json()).toMatchObject(insufficient('0.000001', '3'))
    expect((await scene.account('lead', { user: one })).available).toBe('0')
    expect((await give('lead', members('2'))).statusCode).toBe(201)
    expect((await departmentAccount()).available).toBe('0')
  })

  test('is done once for a key, by eight requests at once too, and for no other body', async () => {
    await scene.fund('10')
    const user = await scene.hire()
    const key = newKey()
    const members = [{ user, credits: '1' }]
    const all = await Promise.all(
      Array.from({ length: 8 }, async () => await give('lead', members, { reason: 'a', key })),
    )
    expect(new Set(all.map(({ statusCode, body }) => `${statusCode} ${body}`)).size).toBe(1)
    expect((await scene.account('lead', { user })).available).toBe('1')
    expect(await scene.toldTo(user)).toHaveLength(1)
    const others = [
      await give('lead', [{ user, credits: '2' }], { reason: 'a', key }),
      await give('lead', members, { reason: 'b', key }),
      await give('lead', members, { key }),
    ]
    for (const other of others) {
      expect(other.json()).toMatchObject({ status: 422, code: 'idempotency.mismatch' })
    }
    expect((await departmentAccount()).available).toBe('9')
  })

  test('answers a repeat although a member has left meanwhile', async () => {
    await scene.fund('1')
    const user = await scene.hire()
    const key = newKey()
    const first = await give('lead', [{ user, credits: '1' }], { key })
    await scene.api.call({ method: 'POST', url: `/v1/users/${user}/disable`, as: 'root' })
    const again = await give('lead', [{ user, credits: '1' }], { key })
    expect([again.statusCode, again.body]).toEqual([201, first.body])
  })

  test('names everybody who is no active member, all in the same words', async () => {
    await scene.fund('10')
    const disabled = await scene.hire()
    await scene.api.call({ method: 'POST', url: `/v1/users/${disabled}/disable`, as: 'root' })
    const { idOf } = scene
    const users = [idOf('mina'), idOf('sam'), idOf('gast'), disabled, 'nobody', idOf('lead')]
    const response = await give(
      'lead',
      users.map((user) => ({ user, credits: '1' })),
    )
    const message = 'is not an active member of the department'
    const errors = [1, 2, 3, 4].map((index) => ({ path: `/members/${index}/user`, message }))
    expect(response.json()).toMatchObject({ status: 400, code: 'request.invalid', errors })
    expect((await departmentAccount()).available).toBe('10')
  })

  test('names who is there twice', async () => {
    const user = scene.idOf('mina')
    const response = await give('lead', [
      { user, credits: '1' },
      { user, credits: '2' },
    ])
    expect(response.json()).toMatchObject({ status: 400, errors: [{ path: '/members/1/user' }] })
  })

  test('reaches 100 people and not 101', async () => {
    await scene.fund('100')
    const users = await Promise.all(Array.from({ length: 101 }, async () => await scene.hire()))
    const members = users.map((user) => ({ user, credits: '1' }))
    const refused = await give('lead', members)
    expect(refused.json()).toMatchObject({ status: 400, errors: [{ path: '/members' }] })
    const response = await give('lead', members.slice(0, 100))
    expect(distributionView.parse(response.json()).members).toHaveLength(100)
    expect((await departmentAccount()).available).toBe('0')
    const last = await scene.account('lead', { user: users[99] ?? '' })
    expect([last.available, last.received]).toEqual(['1', '1'])
  })

  test.each([
    ['nobody', { members: [] }, '/members'],
    ['0', { members: [{ user: 'x', credits: '0' }] }, '/members/0/credits'],
    [
      'less than a micro-credit',
      { members: [{ user: 'x', credits: '0.0000001' }] },
      '/members/0/credits',
    ],
    ['a negative amount', { members: [{ user: 'x', credits: '-1' }] }, '/members/0/credits'],
    ['a million', { members: [{ user: 'x', credits: '1000000' }] }, '/members/0/credits'],
    ['a long reason', { reason: 'x'.repeat(201) }, '/reason'],
    ['a reason of two lines', { reason: 'a\nb' }, '/reason'],
    ['an unknown field', { from: 'x' }, '/from'],
  ])('refuses %s', async (_what, changes, path) => {
    const response = await give('lead', [{ user: scene.idOf('mina'), credits: '1' }], changes)
    expect(response.json()).toMatchObject({ status: 400, errors: [{ path }] })
  })

  test('needs a key', async () => {
    const body = { department: scene.quality, members: [{ user: 'x', credits: '1' }] }
    const url = '/v1/credits/distributions'
    const response = await scene.api.call({ method: 'POST', url, as: 'lead', body })
    expect(response.json()).toMatchObject({ status: 400, code: 'request.invalid' })
  })

  test('of another department is not there for its admin, and is for super admins', async () => {
    await scene.fund('1', scene.research)
    const members = [{ user: scene.idOf('poor'), credits: '1' }]
    const department = scene.research
    const [hidden, absent] = [
      await give('lead', members, { department }),
      await give('lead', members, { department: 'nothing' }),
    ]
    expect(hidden.json()).toMatchObject({ status: 404, code: 'department.not_found' })
    expect(absent.json()).toMatchObject({ status: 404, code: 'department.not_found' })
    expect((await give('mina', members)).statusCode).toBe(403)
    expect((await give('root', members, { department })).statusCode).toBe(201)
  })
})
