import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BudgetParts, keepBudgets } from '../../../src/api/features/budgets/keep.ts'
import { openBudgetStore } from '../../../src/api/features/budgets/store.ts'
import { monthEndMs } from '../../../src/shared/domain/month.ts'
import { type BudgetScene, openBudgetScene } from './budget-scene.ts'
import { openScene, type Scene, throwWarned } from './scene.ts'

const hourMs = 3_600_000
const credit = 1_000_000
const budget = { microCredits: 100 * credit, carryOver: 'None' } as const

let scene: Scene
let world: BudgetScene
let parts: BudgetParts

beforeAll(async () => {
  scene = await openScene()
  world = openBudgetScene(scene)
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
