import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { adjustmentView, revocationView } from '../../../src/shared/wire/credits.ts'
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

const take = async (as: Person, changes: Wish) =>
  await scene.post(as, 'revocations', { department: scene.quality, ...changes })
const holder = async (credits: string): Promise<string> => {
  const user = await scene.hire()
  const { quality: department } = scene
  await scene.post('root', 'issues', { department, user, credits })
  return user
}
const charge = async (): Promise<{ user: string; entry: string }> => {
  const user = await scene.hire()
  const { quality: department } = scene
  await scene.post('root', 'issues', { department, user, credits: '5' })
  const accountId = accountIdOf({ department, user })
  const jobId = newKey()
  await scene.api.core.accounts.hold(accountId, jobId, 3_000_000)
  await scene.api.core.accounts.settle(accountId, jobId, 3_000_000)
  return { user, entry: `${jobId}:settle` }
}
const adjust = async (as: Person, body: Wish) =>
  await scene.post(as, 'adjustments', { reason: 'was black', ...body })

describe('a revocation', () => {
  test('takes everything unused from a person and leaves what is held', async () => {
    const user = await holder('5')
    const accountId = accountIdOf({ department: scene.quality, user })
    await scene.api.core.accounts.hold(accountId, newKey(), 2_000_000)
    const response = await take('lead', { user, reason: 'over' })
    const view = revocationView.parse(response.json())
    expect([response.statusCode, view]).toMatchObject([
      201,
      { credits: '3', department: { available: '3' }, member: { available: '0', held: '2' } },
    ])
    expect(await scene.toldTo(user)).toMatchObject([
      { kind: 'CreditsRevoked', credits: '3', reason: 'over' },
      { kind: 'CreditsReceived' },
    ])
    expect(await audited('credits.revoked', accountId)).toMatchObject([
      { after: { entry: view.id } },
    ])
    const again = await take('lead', { user })
    expect(again.json()).toMatchObject({ status: 409, code: 'credits.nothing_unused' })
  })

  test('takes an exact amount and never one micro-credit more', async () => {
    const user = await holder('1')
    const refused = await take('lead', { user, credits: '1.000001' })
    expect(refused.json()).toMatchObject(insufficient('0.000001', '1'))
    expect((await take('lead', { user, credits: '1' })).statusCode).toBe(201)
    expect((await scene.account('lead', { user })).revoked).toBe('0')
    expect((await scene.account('lead', { user })).sent).toBe('1')
  })

  test('is done once for a key, for no other amount and not for all', async () => {
    const user = await holder('5')
    const key = newKey()
    const first = await take('lead', { user, credits: '1', key })
    expect((await take('lead', { user, credits: '1', key })).body).toBe(first.body)
    const other = await take('lead', { user, credits: '2', key })
    expect(other.json()).toMatchObject({ status: 422, code: 'idempotency.mismatch' })
    const all = await take('lead', { user, key })
    expect(all.json()).toMatchObject({ status: 422, code: 'idempotency.mismatch' })
    expect((await scene.account('lead', { user })).available).toBe('4')
  })

  test('reaches the account of who has left the department', async () => {
    const user = await holder('2')
    const url = `/v1/users/${user}/department`
    const { research: department } = scene
    const moved = await scene.api.call({ method: 'PUT', url, as: 'root', body: { department } })
    expect(moved.statusCode).toBe(200)
    const response = await take('lead', { user })
    // Their credits may have come back by themselves before.
    expect([201, 409]).toContain(response.statusCode)
    expect((await scene.account('lead', { user })).available).toBe('0')
    expect((await departmentAccount()).available).toBe('2')
  })

  test('from a department is for super admins and goes to the platform', async () => {
    await scene.fund('4')
    expect((await take('lead', {})).json()).toMatchObject({ status: 403, code: 'auth.forbidden' })
    const part = await take('root', { credits: '1' })
    expect(part.json()).toMatchObject({
      credits: '1',
      department: { available: '3' },
      member: null,
    })
    const before = (await departmentAccount()).revoked
    const rest = revocationView.parse((await take('root', {})).json())
    expect(rest.credits).toBe('3')
    expect(Number((await departmentAccount()).revoked) - Number(before)).toBe(3)
    const [told] = await scene.toldTo(scene.idOf('lead'))
    expect(told).toMatchObject({ kind: 'CreditsRevoked', account: 'Department', credits: '3' })
  })

  test('says the same of who is elsewhere, who is nobody and of another department', async () => {
    const { research, idOf } = scene
    const all = [
      await take('lead', { user: idOf('sam') }),
      await take('lead', { user: 'nobody' }),
      await take('lead', { user: idOf('sam'), department: research }),
      await take('lead', { department: research }),
      await take('lead', { user: idOf('sam'), department: 'nothing' }),
    ]
    const problems = all.map((response) => {
      const { status, code, detail } = response.json<Record<string, unknown>>()
      return { status, code, detail }
    })
    expect(new Set(problems.map((problem) => JSON.stringify(problem))).size).toBe(1)
    expect(problems[0]).toMatchObject({ status: 404, code: 'credits.account_not_found' })
    expect((await take('mina', { user: idOf('mina') })).statusCode).toBe(403)
  })
})

describe('an adjustment', () => {
  test('gives back at most what was charged, right after it', async () => {
    const { user, entry } = await charge()
    const refused = await adjust('root', { entry, credits: '3.000001' })
    expect(refused.json()).toMatchObject({ status: 400, errors: [{ path: '/credits' }] })
    expect(refused.body).toContain('more than the entry took: 3')
    const response = await adjust('root', { entry, credits: '3' })
    const view = adjustmentView.parse(response.json())
    expect([response.statusCode, view]).toMatchObject([
      201,
      { id: `${entry}:adjust`, account: { user, available: '5', spent: '0' } },
    ])
    expect(await scene.toldTo(user)).toMatchObject([
      { kind: 'CreditsReceived', credits: '3', reason: 'was black' },
      { kind: 'CreditsReceived' },
    ])
    const target = accountIdOf({ department: scene.quality, user })
    expect(await audited('credits.adjusted', target)).toMatchObject([{ after: { entry } }])
  })

  test('happens once per entry', async () => {
    const { user, entry } = await charge()
    const key = newKey()
    const first = await adjust('root', { entry, credits: '1', key })
    expect((await adjust('root', { entry, credits: '1', key })).body).toBe(first.body)
    const expiresTime = '2099-01-01T00:00:00Z'
    for (const change of [{ credits: '2' }, { reason: 'another' }, { expiresTime }]) {
      const other = await adjust('root', { entry, credits: '1', ...change })
      expect(other.json()).toMatchObject({ status: 409, code: 'credits.adjusted' })
    }
    expect((await scene.account('root', { department: scene.quality, user })).available).toBe('3')
  })

  test('of what took nothing or is not there is refused', async () => {
    const { entry } = await charge()
    const hold = await adjust('root', { entry: entry.replace('settle', 'hold'), credits: '1' })
    expect(hold.json()).toMatchObject({ status: 400, errors: [{ path: '/credits' }] })
    const absent = await adjust('root', { entry: 'nothing:settle', credits: '1' })
    expect(absent.json()).toMatchObject({ status: 404, code: 'credits.entry_not_found' })
    const past = await adjust('root', { entry, credits: '1', expiresTime: '2020-01-01T00:00:00Z' })
    expect(past.json()).toMatchObject({ status: 400, errors: [{ path: '/expiresTime' }] })
    const silent = await adjust('root', { entry, credits: '1', reason: undefined })
    expect(silent.json()).toMatchObject({ status: 400, errors: [{ path: '/reason' }] })
    expect((await adjust('lead', { entry, credits: '1' })).statusCode).toBe(403)
  })
})

describe('an issue', () => {
  test('tells the admins of a department why', async () => {
    const { quality: department } = scene
    await scene.post('root', 'issues', { department, credits: '7', reason: 'Budget' })
    const [told] = await scene.toldTo(scene.idOf('lead'))
    expect(told).toMatchObject({
      kind: 'CreditsReceived',
      account: 'Department',
      department,
      credits: '7',
      reason: 'Budget',
    })
  })
})
