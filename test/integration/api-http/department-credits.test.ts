import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { departmentCreditsView } from '../../../src/shared/wire/department-credits.ts'
import { departmentView } from '../../../src/shared/wire/departments.ts'
import { problem } from '../../../src/shared/wire/problem.ts'
import { type Newcomers, openNewcomers } from '../api-users/newcomers.ts'
import { startApi, type TestApi } from './harness.ts'

let api: TestApi
let newcomers: Newcomers

beforeAll(async () => {
  api = await startApi()
  newcomers = await openNewcomers(api)
})
afterAll(async () => await api.close())

async function runTask(name: string): Promise<void> {
  const task = api.api.leaderTasks.find((one) => one.name === name)
  if (task === undefined) throw new Error(`there is no task ${name}`)
  await task.run()
}

/** A member with 100 micro-credits. */
async function addMember() {
  const { accounts } = api.core
  const department = api.surroundings.quality
  const person = await newcomers.create('department_member')
  const accountId = `member:${department}:${person._id}`
  await accounts.issue({ accountId, issueId: accountId, microCredits: 100, expiresMs: null })
  return { person, accountId }
}

async function freeOf(accountId: string): Promise<number> {
  return (await api.core.accounts.balanceOf(accountId)).availableMicroCredits
}

describe('a monthly budget', () => {
  it('is set by a super admin, and what an admin sees of it follows', async () => {
    const name = api.surroundings.research
    const url = `/v1/departments/${name}`
    const body = { monthlyBudget: { credits: '100.5', carryOver: 'NextMonth' } }
    const changed = await api.call({ method: 'PATCH', url, as: 'root', body })
    expect(departmentView.parse(changed.json()).monthlyBudget).toEqual(body.monthlyBudget)
    await runTask('monthly-budgets')
    const read = await api.call({ url: `${url}/credits`, as: 'root' })
    const { totals, thisMonth, nextMonth } = departmentCreditsView.parse(read.json())
    expect(totals.available).toBe('100.5')
    expect(thisMonth).toMatchObject({ budget: '100.5', used: '0', percent: 0, spent: '0' })
    expect(nextMonth.budget).toEqual(body.monthlyBudget)
    const log = await api.call({ url: `/v1/audit-log?target=${name}`, as: 'root' })
    // Whatever puts the department into the cluster writes its own entries meanwhile.
    const changes = auditLogPage.parse(log.json()).items.map(({ after }) => after)
    expect(changes).toContainEqual({ monthlyBudget: '100.5 NextMonth' })
  })

  it('is no department admin’s to set', async () => {
    const url = `/v1/departments/${api.surroundings.quality}`
    const body = { monthlyBudget: { credits: '5', carryOver: 'None' } }
    const refused = await api.call({ method: 'PATCH', url, as: 'lead', body })
    expect(refused.statusCode).toBe(403)
    expect(problem.parse(refused.json())).toMatchObject({
      code: 'auth.forbidden',
      errors: [{ path: '/monthlyBudget' }],
    })
  })

  it.each(['mina', 'sam', 'gast'] as const)('is nothing that %s reads', async (as) => {
    const { statusCode } = await api.call({
      url: `/v1/departments/${api.surroundings.quality}/credits`,
      as,
    })
    expect(statusCode).toBe(as === 'gast' ? 403 : 404)
  })
})

describe('who leaves a department', () => {
  it('leaves their free credits there at once, by move and by deletion', async () => {
    const own = `department:${api.surroundings.quality}`
    const before = await freeOf(own)
    const { person, accountId } = await addMember()
    const body = { department: api.surroundings.research }
    await newcomers.act('root', `${person._id}/department`, { method: 'PUT', body })
    expect([await freeOf(accountId), await freeOf(own)]).toEqual([0, before + 100])
    const second = await addMember()
    await newcomers.act('root', second.person._id, { method: 'DELETE' })
    await newcomers.act('root', second.person._id, { method: 'DELETE' })
    expect([await freeOf(second.accountId), await freeOf(own)]).toEqual([0, before + 200])
  })

  it('leaves them there also when the api dies right after the move', async () => {
    const { person, accountId } = await addMember()
    const { users, trail } = api.core.people
    const target = { kind: 'User', id: person._id, department: null }
    const audit = trail.entry('test', { action: 'user.moved', target })
    const errand = {
      _id: `user.moved:${person._id}:2:1`,
      kind: 'ReturnCredits',
      accountId,
    } as const
    const set = { department: api.surroundings.research }
    const change = { set, audit, nowMs: Date.now(), errands: [errand] }
    await users.change(person._id, {}, change)
    await runTask('people-errands')
    expect(await freeOf(accountId)).toBe(0)
    expect((await newcomers.find(person)).errands).toEqual([])
  })
})
