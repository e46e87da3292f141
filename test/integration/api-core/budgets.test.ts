import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import { type BudgetParts, keepBudgets } from '../../../src/api/features/budgets/keep.ts'
import { createDepartmentCreditsService } from '../../../src/api/features/budgets/service.ts'
import { openBudgetStore } from '../../../src/api/features/budgets/store.ts'
import { readStillUsage } from '../../../src/api/features/budgets/usage.ts'
import type { UserRow } from '../../../src/api/features/users/store.ts'
import { monthEndMs } from '../../../src/shared/domain/month.ts'
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

/** The lots that budgets brought to a department's account, in the order of their months. */
async function issuesOf(department: string) {
  const { account, outbox } = await scene.parts.accountStore.read(accountOf(department))
  const stored = await scene.parts.accountStore.entriesOf(account._id, 0)
  const entries = new Map([...stored, ...outbox].map((entry) => [entry._id, entry]))
  return [...entries.values()]
    .filter(({ kind }) => kind === 'Issue')
    .toSorted((a, b) => a.seq - b.seq)
    .map(({ note, postings }) => ({
      month: note?.reason,
      credits: (postings[0]?.microCredits ?? 0) / credit,
      expiresMs: postings[0]?.expiresMs,
    }))
}

/** Spends so many of an account's credits by a job. */
async function spend(accountId: string, credits: number): Promise<void> {
  const jobId = crypto.randomUUID()
  await scene.parts.accounts.hold(accountId, jobId, credits * credit)
  await scene.parts.accounts.settle(accountId, jobId, credits * credit)
}

async function died(): Promise<never> {
  throw new Error('killed')
}
const ignored = { warn: () => undefined }

describe('a monthly budget', () => {
  it('is issued at the first pass, once, and in each month after it', async () => {
    world.goTo('2031-11-20T10:00:00Z')
    const department = await world.addDepartment(budget)
    await keepBudgets(parts)
    await keepBudgets(parts)
    const november = { month: '2031-11', credits: 100, expiresMs: monthEndMs('2031-11') }
    expect(await issuesOf(department)).toEqual([november])
    world.goTo('2031-11-30T23:59:59Z')
    await keepBudgets(parts)
    expect(await issuesOf(department)).toEqual([november])
    world.goTo('2031-12-01T00:00:00Z')
    await Promise.all([keepBudgets(parts), keepBudgets(parts), keepBudgets(parts)])
    const december = { ...november, month: '2031-12', expiresMs: monthEndMs('2031-12') }
    expect(await issuesOf(department)).toEqual([november, december])
    const { availableMicroCredits } = await scene.parts.accounts.balanceOf(accountOf(department))
    expect(availableMicroCredits).toBe(100 * credit)
  })

  it('is spent for another month where it is carried over', async () => {
    world.goTo('2032-01-05T00:00:00Z')
    const department = await world.addDepartment({ ...budget, carryOver: 'NextMonth' })
    await keepBudgets(parts)
    world.goTo('2032-02-01T00:00:30Z')
    await keepBudgets(parts)
    const free = async () =>
      (await scene.parts.accounts.balanceOf(accountOf(department))).availableMicroCredits / credit
    expect(await free()).toBe(200)
    world.goTo('2032-02-29T23:59:00Z')
    expect(await free()).toBe(200)
    world.goTo('2032-03-01T00:00:00Z')
    expect(await free()).toBe(100)
  })

  it('of another amount counts from the next month, and none from then on', async () => {
    world.goTo('2032-05-10T00:00:00Z')
    const department = await world.addDepartment(budget)
    await keepBudgets(parts)
    await world.setBudget(department, { microCredits: 300 * credit, carryOver: 'None' })
    await keepBudgets(parts)
    world.goTo('2032-06-01T00:01:00Z')
    await keepBudgets(parts)
    await world.setBudget(department, null)
    world.goTo('2032-07-01T00:01:00Z')
    await keepBudgets(parts)
    const issues = (await issuesOf(department)).map(({ month, credits }) => [month, credits])
    expect(issues).toEqual([
      ['2032-05', 100],
      ['2032-06', 300],
    ])
  })

  it('is issued once although the clock jumps over the end of a month and back', async () => {
    world.goTo('2032-08-31T23:30:00Z')
    const department = await world.addDepartment(budget)
    await keepBudgets(parts)
    scene.clock.advance(hourMs)
    await keepBudgets(parts)
    scene.clock.advance(-hourMs)
    await keepBudgets(parts)
    scene.clock.advance(hourMs)
    await keepBudgets(parts)
    expect((await issuesOf(department)).map(({ month }) => month)).toEqual(['2032-08', '2032-09'])
  })

  it('is not issued for the month before when the clock goes back into it', async () => {
    world.goTo('2032-10-01T00:10:00Z')
    const department = await world.addDepartment(budget)
    await keepBudgets(parts)
    scene.clock.advance(-hourMs)
    await keepBudgets(parts)
    expect((await issuesOf(department)).map(({ month }) => month)).toEqual(['2032-10'])
  })

  it('of a month in which the platform was down is not issued afterwards', async () => {
    world.goTo('2032-11-15T00:00:00Z')
    const department = await world.addDepartment(budget)
    await keepBudgets(parts)
    world.goTo('2033-01-02T00:00:00Z')
    await keepBudgets(parts)
    expect((await issuesOf(department)).map(({ month }) => month)).toEqual(['2032-11', '2033-01'])
  })

  it('is issued once although the api dies between any two writes', async () => {
    world.goTo('2033-02-03T00:00:00Z')
    const department = await world.addDepartment(budget)
    const { months, accounts } = parts
    const deaths: readonly Partial<BudgetParts>[] = [
      { months: { ...months, setBudget: died } },
      { accounts: { ...accounts, issue: died } },
      { months: { ...months, setIssued: died } },
    ]
    for (const death of deaths) await keepBudgets({ ...parts, ...death, log: ignored })
    expect(await issuesOf(department)).toHaveLength(1)
    await keepBudgets(parts)
    await keepBudgets(parts)
    expect(await issuesOf(department)).toHaveLength(1)
  })
})

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
const percentsTo = async ({ email }: UserRow): Promise<readonly string[]> =>
  (await world.mailsTo(email)).flatMap((mail) =>
    mail.template === 'BudgetUsed' ? [mail.percent] : [],
  )

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
    const moving: BudgetParts['accountStore'] = {
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
