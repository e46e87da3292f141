import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openCreditRequestStore } from '../../../src/api/features/credit-requests/store.ts'
import { openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { creditRequestView } from '../../../src/shared/wire/credit-requests.ts'
import { type CreditScene, newKey, openCreditScene } from './credit-scene.ts'
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
  for (const person of ['mina', 'noor', 'lead', 'root'] as const) {
    const { items } = await scene.requests(person, { state: 'Waiting', limit: '100' })
    for (const { id, user } of items) {
      if (user.id === scene.idOf(person)) await scene.decide(person, `${id}/withdraw`)
    }
  }
})

const approve = async (as: Person, id: string, body: object = {}) =>
  await scene.decide(as, `${id}/approve`, body)
const decline = async (as: Person, id: string) =>
  await scene.decide(as, `${id}/decline`, { reason: 'not now' })
const stateOf = async (id: string) => {
  const { items } = await scene.requests('root', { limit: '100' })
  return items.find((one) => one.id === id)?.state
}
const available = async (person: Person) => Number((await scene.account(person)).available)
const departmentHas = async () =>
  (await scene.account('root', { department: scene.quality })).available
const decided = { status: 409, code: 'credits.request_decided' }
const parts = () => {
  const { people, accounts, database } = scene.api.core
  const stores = {
    requests: openCreditRequestStore(database),
    accountStore: openAccountStore(database),
  }
  return { ...people, accounts, ...stores, clock: systemClock }
}

describe('a member’s request', () => {
  test('is told to who decides, approved from the department’s account and told back', async () => {
    await scene.fund('3')
    const before = await available('mina')
    const request = await scene.ask('mina')
    expect(request).toMatchObject({
      for: 'Member',
      department: scene.quality,
      user: { id: scene.idOf('mina'), name: 'Mina Moon' },
      credits: '2',
      state: 'Waiting',
      decision: null,
    })
    for (const decider of ['lead', 'root'] as const) {
      const [told] = await scene.toldTo(scene.idOf(decider))
      expect(told).toMatchObject({ kind: 'CreditsRequested', requestId: request.id, credits: '2' })
    }
    const response = await approve('lead', request.id, { credits: '3' })
    const by = { id: scene.idOf('lead'), name: 'lead' }
    expect([response.statusCode, response.json()]).toMatchObject([
      200,
      { state: 'Approved', credits: '2', decision: { by, credits: '3', reason: null } },
    ])
    expect(await available('mina')).toBe(before + 3)
    expect(await departmentHas()).toBe('0')
    expect((await scene.toldTo(scene.idOf('mina')))[0]).toMatchObject({
      kind: 'CreditRequestApproved',
      credits: '3',
    })
    const { items } = await scene.entries('mina', { limit: '1' })
    expect(items).toMatchObject([{ kind: 'Receive', credits: '3', reason: 'for a fair', by }])
    const url = `/v1/audit-log?target=${request.id}`
    const log = auditLogPage.parse((await scene.api.call({ url, as: 'root' })).json()).items
    expect(log.map(({ action }) => action)).toEqual([
      'credits.request_approved',
      'credits.requested',
    ])
    expect(log[0]).toMatchObject({ actor: { id: by.id }, after: { credits: '3' } })
  })

  test('is made once for a key', async () => {
    const key = newKey()
    const body = { credits: '2', reason: 'a' }
    const all = await Promise.all(
      [1, 2, 3].map(async () => await scene.post('mina', 'requests', { ...body, key })),
    )
    expect(new Set(all.map((one) => `${one.statusCode} ${one.body}`)).size).toBe(1)
    for (const change of [{ credits: '3' }, { reason: 'b' }]) {
      const other = await scene.post('mina', 'requests', { ...body, ...change, key })
      expect(other.json()).toMatchObject({ status: 422, code: 'idempotency.mismatch' })
    }
  })

  test('is one of at most five that wait, however many come at once', async () => {
    for (let count = 0; count < 4; count += 1) await scene.ask('noor')
    const body = { credits: '1', reason: 'a' }
    const all = await Promise.all(
      [1, 2, 3, 4].map(async () => await scene.post('noor', 'requests', body)),
    )
    const made = all.filter(({ statusCode }) => statusCode === 201).length
    expect(made).toBeLessThanOrEqual(1)
    const refused = all.filter(({ statusCode }) => statusCode !== 201).map((one) => one.json())
    const problem = { status: 409, code: 'credits.too_many_requests' }
    expect(refused).toMatchObject(refused.map(() => problem))
    if (made === 0) await scene.ask('noor')
    const sixth = await scene.post('noor', 'requests', body)
    expect(sixth.json()).toMatchObject(problem)
    const { items } = await scene.requests('noor', { state: 'Waiting' })
    expect(items).toHaveLength(5)
    await scene.decide('noor', `${items[0]?.id}/withdraw`)
    await scene.ask('noor')
  })

  test('goes on waiting when the department has one micro-credit too few', async () => {
    await scene.fund('1.999999')
    const { id } = await scene.ask('mina')
    const refused = await approve('lead', id)
    expect(refused.json()).toMatchObject({
      status: 402,
      code: 'credits.insufficient',
      missing: '0.000001',
      available: '1.999999',
    })
    expect(await stateOf(id)).toBe('Waiting')
    await scene.fund('0.000001')
    expect((await approve('lead', id)).json()).toMatchObject({ state: 'Approved' })
    expect(await departmentHas()).toBe('0')
  })

  test('is not for its asker to approve, unless they are a super admin', async () => {
    await scene.fund('4')
    const own = await scene.ask('lead')
    expect((await approve('lead', own.id)).json()).toMatchObject({
      status: 403,
      code: 'auth.forbidden',
    })
    expect((await approve('root', own.id)).statusCode).toBe(200)
    const ofRoot = await scene.ask('root')
    expect((await approve('root', ofRoot.id)).statusCode).toBe(200)
  })

  test('moves credits once when two approve at once, with the same answer', async () => {
    await scene.fund('20')
    const { id } = await scene.ask('mina')
    const all = await Promise.all(
      (['lead', 'root', 'lead', 'root'] as const).map(
        async (person, index) => await approve(person, id, { credits: `${index + 1}` }),
      ),
    )
    expect(all.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200, 200])
    const [first] = all.map((response) => creditRequestView.parse(response.json()))
    expect(new Set(all.map(({ body }) => body)).size).toBe(1)
    expect(await departmentHas()).toBe(String(20 - Number(first?.decision?.credits)))
    const approvals = (await scene.toldTo(scene.idOf('mina'))).filter(
      (told) => 'requestId' in told && told.requestId === id,
    )
    expect(approvals).toHaveLength(1)
    expect((await approve('lead', id)).body).toBe(all[0]?.body)
  })

  test('is declined with a reason, or withdrawn by who asked, for good', async () => {
    await scene.fund('5')
    const declined = await scene.ask('mina')
    expect((await decline('lead', declined.id)).json()).toMatchObject({
      state: 'Declined',
      decision: { by: { name: 'lead' }, credits: null, reason: 'not now' },
    })
    expect((await scene.toldTo(scene.idOf('mina')))[0]).toMatchObject({
      kind: 'CreditRequestDeclined',
      reason: 'not now',
    })
    expect((await decline('root', declined.id)).statusCode).toBe(200)
    const withdrawn = await scene.ask('mina')
    const elses = await scene.decide('lead', `${withdrawn.id}/withdraw`)
    expect(elses.json()).toMatchObject({ status: 403, code: 'auth.forbidden' })
    expect((await scene.decide('mina', `${withdrawn.id}/withdraw`)).statusCode).toBe(200)
    expect((await scene.decide('mina', `${withdrawn.id}/withdraw`)).statusCode).toBe(200)
    expect((await scene.decide('mina', `${declined.id}/withdraw`)).json()).toMatchObject(decided)
    expect((await decline('lead', withdrawn.id)).json()).toMatchObject(decided)
    for (const { id } of [declined, withdrawn]) {
      expect((await approve('lead', id)).json()).toMatchObject(decided)
    }
    const approved = await scene.ask('mina')
    await approve('lead', approved.id)
    expect((await decline('lead', approved.id)).json()).toMatchObject(decided)
    expect((await scene.decide('mina', `${approved.id}/withdraw`)).json()).toMatchObject(decided)
  })

  test('of who is no active member any more cannot be approved', async () => {
    await scene.fund('5')
    const { id } = await scene.ask('mina')
    const row = await parts().requests.find(id)
    if (row === null) throw new Error('the request is not there')
    const user = await scene.hire()
    const ofHired = { ...row, _id: `cr-${randomBytes(16).toString('hex')}` }
    await parts().requests.insert({ ...ofHired, owner: { department: scene.quality, user } })
    await scene.api.call({ method: 'POST', url: `/v1/users/${user}/disable`, as: 'root' })
    const refused = await approve('lead', ofHired._id)
    expect(refused.json()).toMatchObject({ status: 409, code: 'user.state' })
    expect(await stateOf(ofHired._id)).toBe('Waiting')
    await scene.api.call({ method: 'POST', url: `/v1/users/${user}/enable`, as: 'root' })
    expect((await approve('lead', ofHired._id)).statusCode).toBe(200)
  })

  test('has no expiry of its own', async () => {
    const { id } = await scene.ask('mina')
    const refused = await approve('lead', id, { expiresTime: '2099-01-01T00:00:00Z' })
    expect(refused.json()).toMatchObject({ status: 400, errors: [{ path: '/expiresTime' }] })
  })

  test('is not there for other departments and colleagues', async () => {
    const { id } = await scene.ask('sam')
    const ofMina = await scene.ask('mina')
    const absent = `cr-${'0'.repeat(32)}`
    for (const one of [id, absent]) {
      for (const response of [await approve('lead', one), await decline('lead', one)]) {
        expect(response.json()).toMatchObject({ status: 404, code: 'credits.request_not_found' })
      }
    }
    const colleague = await scene.decide('noor', `${ofMina.id}/withdraw`)
    expect(colleague.json()).toMatchObject({ status: 404, code: 'credits.request_not_found' })
    expect((await approve('mina', ofMina.id)).statusCode).toBe(403)
    const seenBy = async (person: Person) =>
      (await scene.requests(person, { limit: '100' })).items.map((one) => one.id)
    expect(await seenBy('lead')).toContain(ofMina.id)
    expect(await seenBy('lead')).not.toContain(id)
    expect(await seenBy('noor')).not.toContain(ofMina.id)
    expect(await seenBy('root')).toEqual(expect.arrayContaining([id, ofMina.id]))
    await scene.decide('sam', `${id}/withdraw`)
  })

  test('is listed newest first, page by page, by its state', async () => {
    const made = [await scene.ask('mina'), await scene.ask('mina'), await scene.ask('mina')]
    const query = { state: 'Waiting', limit: '2' }
    const first = await scene.requests('mina', query)
    const second = await scene.requests('mina', { ...query, cursor: first.next ?? '' })
    const ids = [...first.items, ...second.items].map(({ id }) => id)
    expect(ids).toHaveLength(3)
    expect(new Set(ids)).toEqual(new Set(made.map(({ id }) => id)))
    expect(second.next).toBeNull()
    const foreign = await scene.get('mina', 'requests', { cursor: 'bm90LWEtY3Vyc29y' })
    expect(foreign.json()).toMatchObject({ status: 400, errors: [{ path: 'cursor' }] })
  })
})

describe('a department’s request', () => {
  test('is made by its admin and answered by a super admin with an issue', async () => {
    const request = await scene.ask('lead', { for: 'Department', credits: '9' })
    expect((await approve('lead', request.id)).statusCode).toBe(403)
    expect((await decline('lead', request.id)).statusCode).toBe(403)
    const past = await approve('root', request.id, { expiresTime: '2020-01-01T00:00:00Z' })
    expect(past.json()).toMatchObject({ status: 400, errors: [{ path: '/expiresTime' }] })
    const expiresTime = '2099-01-01T00:00:00.000Z'
    const response = await approve('root', request.id, { expiresTime })
    expect(response.json()).toMatchObject({
      for: 'Department',
      state: 'Approved',
      decision: { credits: '9', expiresTime },
    })
    const account = await scene.account('lead', { department: scene.quality })
    expect(account.lots).toMatchObject([{ available: '9', expiresTime }])
    expect((await approve('root', request.id, { expiresTime })).body).toBe(response.body)
    expect(await departmentHas()).toBe('9')
  })

  test('is not for members to make', async () => {
    const body = { credits: '1', reason: 'a', for: 'Department' }
    const refused = await scene.post('mina', 'requests', body)
    expect(refused.json()).toMatchObject({ status: 403, code: 'auth.forbidden' })
  })
})
