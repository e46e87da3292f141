import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import { type BudgetParts, keepBudgets } from '../../../src/api/features/budgets/keep.ts'
import { createDepartmentCreditsService } from '../../../src/api/features/budgets/service.ts'
import { openBudgetStore } from '../../../src/api/features/budgets/store.ts'
import { readStillUsage } from '../../../src/api/features/budgets/usage.ts'
import type { UserRow } from '../../../src/api/features/users/store.ts'
import { type BudgetScene, openBudgetScene } from './budget-scene.ts'
import { openScene, type Scene, throwWarned } from './scene.ts'

const hourMs = 3_600_000
const credit = 1_000_000
const budget = { microCredits: 100 * credit, carryOver: 'None' } as const

let scene: Scene
let world: BudgetScene
let boss: UserRow
let parts: BudgetParts

beforeAll(async () => {
  scene = await openScene()
  world = openBudgetScene(scene)
  boss = await world.addPerson('super_admin', scene.department)
  const { people, database } = scene.parts
  const months = openBudgetStore(database)
  const { mailer } = world
  parts = { ...people, ...scene.parts, months, mailer, log: { warn: throwWarned } }
})
afterAll(async () => await scene.close())

const accountOf = (department: string): string => `department:${department}`

/** Spends so many of an account's credits by a job. */
async function spend(accountId: string, credits: number): Promise<void> {
  const jobId = crypto.randomUUID()
  const microCredits = Math.round(credits * credit)
  await scene.parts.accounts.hold(accountId, jobId, microCredits)
  await scene.parts.accounts.settle(accountId, jobId, microCredits)
}

async function died(): Promise<never> {
  throw new Error('killed')
}
const ignored = { warn: () => undefined }

/** A department at the begin of a month of its own, its admin and a member with half of it. */
async function start(time: string) {
  world.goTo(time)
  const department = await world.addDepartment(budget)
  const admin = await world.addPerson('department_admin', department)
  const member = await world.addPerson('department_member', department)
  const [own, theirs] = [accountOf(department), `member:${department}:${member._id}`]
  await pass()
  await scene.parts.accounts.transfer({
    transferId: crypto.randomUUID(),
    kind: 'Distribute',
    accountId: own,
    recipients: [{ accountId: theirs, microCredits: 50 * credit }],
  })
  return { department, admin, own, theirs }
}
const percentsTo = async ({ email }: UserRow, of?: string): Promise<readonly string[]> =>
  (await world.mailsTo(email)).flatMap((mail) =>
    mail.template === 'BudgetUsed' && mail.department === (of ?? mail.department)
      ? [mail.percent]
      : [],
  )

/** What a super admin sees. */
async function glance(department: string) {
  const { get } = createDepartmentCreditsService({ ...parts, ...scene.parts.people })
  const caller = { userId: 'u-root', role: 'super_admin', department: 'elsewhere' } as const
  return await get(caller, department)
}

/** What a super admin does with credits that nobody uses. */
async function takeBack(accountId: string, credits: number): Promise<void> {
  const microCreditsMax = credits * credit
  const transferId = crypto.randomUUID()
  await scene.parts.accounts.recall({ transferId, accountId, to: null, microCreditsMax })
}

/** What the leader does in a minute. */
async function pass(changed: Partial<BudgetParts> = {}): Promise<void> {
  const { accountStore: store, accounts } = scene.parts
  await relayOutboxes({ store, receive: accounts.receive })
  await keepBudgets({ ...parts, ...changed })
}

describe('the use of a budget', () => {
  it('is told at 80 and 100 percent, once each, at last to super admins too', async () => {
    const { department, admin, own, theirs } = await start('2033-03-03T00:00:00Z')
    await pass()
    await spend(theirs, 50)
    await spend(own, 29)
    await pass()
    expect(await percentsTo(admin)).toEqual([])
    const jobId = crypto.randomUUID()
    await scene.parts.accounts.hold(own, jobId, credit)
    await pass()
    expect(await percentsTo(admin)).toEqual(['80'])
    // A hold that comes back and goes again is no second fact.
    await scene.parts.accounts.void(own, jobId)
    await pass()
    await spend(own, 21)
    await pass()
    await pass()
    expect(await percentsTo(admin)).toEqual(['80', '100'])
    const toBoss = (await world.mailsTo(boss.email)).filter(
      (mail) => mail.template === 'BudgetUsed' && mail.department === department,
    )
    expect(toBoss).toEqual([
      { template: 'BudgetUsed', department, percent: '100', month: '2033-03' },
    ])
    expect((await world.noticesOf(admin._id)).map(({ kind, values }) => [kind, values])).toEqual([
      ['BudgetUsed', { department, percent: '100', month: '2033-03' }],
      ['BudgetUsed', { department, percent: '80', month: '2033-03' }],
    ])
  })

  it('that reaches both at once is one message', async () => {
    const { admin, own, theirs } = await start('2033-04-03T00:00:00Z')
    await spend(theirs, 50)
    await spend(own, 50)
    await pass()
    await pass()
    expect(await percentsTo(admin)).toEqual(['100'])
  })

  it('is complete when no account has one percent left, as a price leaves a rest', async () => {
    const { department, admin, own, theirs } = await start('2034-01-03T00:00:00Z')
    const price = 0.7
    await spend(theirs, 71 * price)
    await spend(own, 70 * price)
    await pass()
    expect(await percentsTo(admin)).toEqual(['80'])
    await spend(own, price)
    await pass()
    await pass()
    expect(await percentsTo(admin)).toEqual(['80', '100'])
    expect((await percentsTo(boss, department)).length).toBe(1)
    expect((await glance(department)).thisMonth).toMatchObject({ used: '99.4', percent: 99 })
  })

  it('is not what super admins took back', async () => {
    const { department, admin, own, theirs } = await start('2034-02-03T00:00:00Z')
    await spend(theirs, 30)
    await scene.fund(40 * credit, own)
    await takeBack(own, 50)
    await pass()
    expect(await percentsTo(admin)).toEqual([])
    expect((await glance(department)).thisMonth).toMatchObject({ used: '30', percent: 60 })
    await spend(theirs, 9)
    await pass()
    await spend(theirs, 1)
    // Of another lot: no more of the budget was on this account.
    await takeBack(own, 40)
    expect((await glance(department)).thisMonth).toMatchObject({ used: '40', percent: 80 })
    expect(await percentsTo(admin)).toEqual([])
    await pass()
    expect(await percentsTo(admin)).toEqual(['80'])
  })

  it('is none when everything was taken back', async () => {
    const { department, admin, own, theirs } = await start('2034-03-03T00:00:00Z')
    const back = { accountId: theirs, to: own, microCreditsMax: 50 * credit }
    await scene.parts.accounts.recall({ ...back, transferId: crypto.randomUUID() })
    await takeBack(own, 100)
    await pass()
    await pass()
    expect(await percentsTo(admin)).toEqual([])
    expect((await glance(department)).thisMonth).toMatchObject({ used: '0', percent: 0 })
  })

  it('is told also after the clock went over the end of the month and back', async () => {
    const { admin, own, theirs } = await start('2034-05-31T23:05:00Z')
    scene.clock.advance(hourMs)
    await pass()
    scene.clock.advance(-hourMs)
    await spend(theirs, 50)
    await spend(own, 30)
    await pass()
    expect(await percentsTo(admin)).toEqual(['80'])
  })

  it('is not what lapsed while the clock was ahead', async () => {
    const { admin, own, theirs } = await start('2034-07-31T23:05:00Z')
    await spend(theirs, 50)
    scene.clock.advance(hourMs)
    await pass()
    for (const id of [own, theirs]) await scene.parts.accounts.lapse(id)
    scene.clock.advance(-hourMs)
    await pass()
    world.goTo('2034-08-01T00:00:10Z')
    await pass()
    expect(await percentsTo(admin)).toEqual([])
  })

  it('in the last minute of a month is told in the next one, what lapses then is not', async () => {
    const { admin, own, theirs } = await start('2034-09-30T23:59:00Z')
    const idle = await start('2034-09-30T23:59:00Z')
    await spend(theirs, 50)
    await spend(own, 30)
    world.goTo('2034-10-01T00:00:20Z')
    await pass()
    await scene.parts.accounts.lapse(idle.own)
    world.goTo('2034-10-01T00:01:20Z')
    for (const id of [own, idle.own, idle.theirs]) await scene.parts.accounts.lapse(id)
    await pass()
    expect(await percentsTo(admin)).toEqual(['80'])
    expect(await percentsTo(idle.admin)).toEqual([])
  })

  it('that a month’s end cut off is not made up for when all has lapsed', async () => {
    const { admin, own, theirs } = await start('2034-11-30T23:59:00Z')
    await spend(theirs, 50)
    await spend(own, 29)
    await scene.fund(50 * credit, own)
    world.goTo('2034-12-01T00:01:00Z')
    await scene.parts.accounts.lapse(own)
    await spend(own, 50)
    await pass()
    expect(await percentsTo(admin)).toEqual([])
  })

  it('is not told again when the budget is raised in the same month, but in the next', async () => {
    const { department, admin, own, theirs } = await start('2033-05-03T00:00:00Z')
    await spend(theirs, 50)
    await spend(own, 30)
    await pass()
    expect(await percentsTo(admin)).toEqual(['80'])
    await world.setBudget(department, { microCredits: 500 * credit, carryOver: 'None' })
    await pass()
    expect(await percentsTo(admin)).toEqual(['80'])
    world.goTo('2033-06-01T00:00:10Z')
    await pass()
    await spend(own, 400)
    await pass()
    expect(await percentsTo(admin)).toEqual(['80', '80'])
  })

  it('is told once although the api dies between the note and the mail', async () => {
    const { admin, own, theirs } = await start('2033-07-03T00:00:00Z')
    const { months } = parts
    await spend(theirs, 50)
    await spend(own, 50)
    await pass({ mailer: { send: died }, log: ignored })
    expect(await percentsTo(admin)).toEqual([])
    await pass({ notifier: { notify: died }, log: ignored })
    await pass({ months: { ...months, setTold: died }, log: ignored })
    // The last moment of a month is told of in the next one.
    world.goTo('2033-08-01T00:00:10Z')
    await pass()
    await pass()
    expect(await percentsTo(admin)).toEqual(['100'])
    expect(await world.noticesOf(admin._id)).toHaveLength(1)
  })

  it('is not concluded while credits are on their way', async () => {
    const { department, own, theirs } = await start('2033-09-03T00:00:00Z')
    const { accountStore, accounts } = scene.parts
    const query = { department, lotId: `budget:${department}:2033-09`, nowMs: scene.clock.nowMs() }
    expect(await readStillUsage(accountStore, query)).toBeNull()
    await relayOutboxes({ store: accountStore, receive: accounts.receive })
    expect(await readStillUsage(accountStore, query)).toMatchObject({ lotFree: 100 * credit })
    let reads = 0
    const moving: Pick<BudgetParts['accountStore'], 'pageOfDepartment'> = {
      pageOfDepartment: async (name, page) => {
        const found = await accountStore.pageOfDepartment(name, page)
        reads += 1
        const back = { accountId: theirs, to: own, microCreditsMax: credit }
        if (reads === 1) await accounts.recall({ ...back, transferId: crypto.randomUUID() })
        await relayOutboxes({ store: accountStore, receive: accounts.receive })
        return found
      },
    }
    expect(await readStillUsage(moving, query)).toBeNull()
    expect(await readStillUsage(moving, query)).toMatchObject({ lotFree: 100 * credit })
  })

  it('is shown at a glance', async () => {
    const { department, own, theirs } = await start('2033-10-03T00:00:00Z')
    await spend(theirs, 10)
    await scene.parts.accounts.hold(own, crypto.randomUUID(), 5 * credit)
    const { get } = createDepartmentCreditsService({ ...parts, ...scene.parts.people })
    const caller = { userId: 'u-root', role: 'super_admin', department: 'elsewhere' } as const
    expect(await get(caller, department)).toEqual({
      department,
      totals: {
        issued: '100',
        available: '45',
        distributed: '40',
        held: '5',
        spent: '10',
        expired: '0',
        revoked: '0',
      },
      thisMonth: { month: '2033-10', budget: '100', used: '15', percent: 15, spent: '10' },
      nextMonth: { month: '2033-11', budget: { credits: '100', carryOver: 'None' } },
    })
    world.goTo('2033-11-01T00:02:00Z')
    await world.setBudget(department, null)
    await pass()
    await scene.fund(7 * credit, own)
    await spend(own, 2)
    expect(await get(caller, department)).toMatchObject({
      totals: { available: '5', distributed: '0', spent: '12' },
      thisMonth: { month: '2033-11', budget: null, used: '0', percent: null, spent: '2' },
      nextMonth: { month: '2033-12', budget: null },
    })
    const admin = { userId: 'u-a', role: 'department_admin', department } as const
    expect((await get(admin, department)).department).toBe(department)
    const member = { ...admin, role: 'department_member' } as const
    for (const [who, name] of [
      [member, department],
      [{ ...admin, department: scene.department }, department],
      [caller, 'nothing-here'],
    ] as const) {
      await expect(get(who, name)).rejects.toMatchObject({ code: 'department.not_found' })
    }
  })
})
