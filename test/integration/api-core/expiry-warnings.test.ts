import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openWarningStore } from '../../../src/api/features/expiry-warnings/store.ts'
import { warnOfExpiry, type WarningParts } from '../../../src/api/features/expiry-warnings/warn.ts'
import type { UserRow } from '../../../src/api/features/users/store.ts'
import { type BudgetScene, openBudgetScene } from './budget-scene.ts'
import { openScene, type Scene, throwWarned } from './scene.ts'

const dayMs = 86_400_000
const credit = 1_000_000

let scene: Scene
let world: BudgetScene
let parts: WarningParts
let department: string
let admin: UserRow

beforeAll(async () => {
  scene = await openScene()
  world = openBudgetScene(scene)
  const { people, database } = scene.parts
  const warnings = openWarningStore(database)
  parts = {
    ...people,
    ...scene.parts,
    warnings,
    mailer: world.mailer,
    log: { warn: throwWarned },
  }
  world.goTo('2035-01-10T12:00:00Z')
  department = await world.addDepartment()
  admin = await world.addPerson('department_admin', department)
})
afterAll(async () => await scene.close())

async function addMember() {
  const person = await world.addPerson('department_member', department)
  return { person, accountId: `member:${department}:${person._id}` }
}

type Given = { readonly credits: number; readonly expires: string; readonly issueId?: string }

async function give(accountId: string, { credits, expires, issueId }: Given): Promise<void> {
  await scene.parts.accounts.issue({
    accountId,
    issueId: issueId ?? crypto.randomUUID(),
    microCredits: credits * credit,
    expiresMs: Date.parse(expires),
  })
}

/** What the mails to somebody list, one array for each mail. */
async function listedTo({ email }: UserRow) {
  return (await world.mailsTo(email)).flatMap((mail) =>
    mail.template === 'CreditsExpire' || mail.template === 'DepartmentCreditsExpire'
      ? [mail.lots.map(({ credits, time }) => `${credits} ${time}`)]
      : [],
  )
}

async function died(): Promise<never> {
  throw new Error('killed')
}

describe('credits that lapse soon', () => {
  it('are told of a week before and a day before, once each, all in one mail', async () => {
    world.goTo('2035-01-10T12:00:00Z')
    const { person, accountId } = await addMember()
    await give(accountId, { credits: 5, expires: '2035-01-20T12:00:00Z' })
    await give(accountId, { credits: 2.5, expires: '2035-01-18T08:00:00Z' })
    await give(accountId, { credits: 9, expires: '2036-01-01T00:00:00Z' })
    await warnOfExpiry(parts)
    expect(await listedTo(person)).toEqual([])
    world.goTo('2035-01-11T08:00:00Z')
    await warnOfExpiry(parts)
    await warnOfExpiry(parts)
    const first = ['2.5 2035-01-18 08:00 UTC']
    expect(await listedTo(person)).toEqual([first])
    world.goTo('2035-01-13T12:00:00Z')
    await Promise.all([warnOfExpiry(parts), warnOfExpiry(parts)])
    const both = [...first, '5 2035-01-20 12:00 UTC']
    expect(await listedTo(person)).toEqual([first, both])
    world.goTo('2035-01-17T07:59:00Z')
    await warnOfExpiry(parts)
    expect(await listedTo(person)).toEqual([first, both])
    world.goTo('2035-01-17T08:00:00Z')
    await warnOfExpiry(parts)
    scene.clock.advance(-3_600_000)
    await warnOfExpiry(parts)
    scene.clock.advance(2 * 3_600_000)
    await warnOfExpiry(parts)
    expect(await listedTo(person)).toEqual([first, both, both])
    const [newest] = await world.noticesOf(person._id)
    expect(newest).toMatchObject({
      kind: 'CreditsExpire',
      values: {
        department,
        account: 'Member',
        credits: '7.5',
        expiresTime: '2035-01-18T08:00:00.000Z',
      },
    })
    expect(await world.noticesOf(person._id)).toHaveLength(3)
  })

  it('are one mail a day: what comes up meanwhile is in the next', async () => {
    world.goTo('2035-02-01T01:00:00Z')
    const { person, accountId } = await addMember()
    await give(accountId, { credits: 1, expires: '2035-02-05T00:00:00Z' })
    await warnOfExpiry(parts)
    await give(accountId, { credits: 2, expires: '2035-02-06T00:00:00Z' })
    await warnOfExpiry(parts)
    world.goTo('2035-02-01T23:59:00Z')
    await warnOfExpiry(parts)
    expect(await listedTo(person)).toHaveLength(1)
    world.goTo('2035-02-02T00:00:00Z')
    await warnOfExpiry(parts)
    expect((await listedTo(person)).map((lots) => lots.length)).toEqual([1, 2])
  })

  it('that the next day’s mail would miss are told of at once, each lot once', async () => {
    world.goTo('2035-03-31T00:03:00Z')
    const { person, accountId } = await addMember()
    await give(accountId, { credits: 1, expires: '2035-04-03T00:00:00Z' })
    await warnOfExpiry(parts)
    world.goTo('2035-03-31T10:00:00Z')
    await give(accountId, { credits: 2, expires: '2035-04-01T00:10:00Z' })
    await warnOfExpiry(parts)
    expect(await listedTo(person)).toHaveLength(1)
    const issueId = crypto.randomUUID()
    await give(accountId, { credits: 7, expires: '2035-04-01T00:00:00Z', issueId })
    await Promise.all([warnOfExpiry(parts), warnOfExpiry(parts)])
    await warnOfExpiry(parts)
    const second = ['7 2035-04-01 00:00 UTC', '2 2035-04-01 00:10 UTC', '1 2035-04-03 00:00 UTC']
    expect((await listedTo(person)).slice(1)).toEqual([second])
    await give(accountId, { credits: 1, expires: '2035-03-31T23:00:00Z' })
    await warnOfExpiry(parts)
    await warnOfExpiry(parts)
    expect(await listedTo(person)).toHaveLength(3)
  })

  it('of a department’s account are told to its admins, a budget’s on its last day', async () => {
    world.goTo('2035-04-22T00:00:00Z')
    const accountId = `department:${department}`
    await give(accountId, { credits: 4, expires: '2035-04-28T00:00:00Z' })
    const issueId = `budget:${department}:2035-04`
    await give(accountId, { credits: 100, expires: '2035-05-01T00:00:00Z', issueId })
    const before = (await listedTo(admin)).length
    await warnOfExpiry(parts)
    world.goTo('2035-04-25T00:00:00Z')
    await warnOfExpiry(parts)
    world.goTo('2035-04-30T00:00:00Z')
    await scene.parts.accounts.lapse(accountId)
    await warnOfExpiry(parts)
    expect((await listedTo(admin)).slice(before)).toEqual([
      ['4 2035-04-28 00:00 UTC'],
      ['100 2035-05-01 00:00 UTC'],
    ])
  })

  it('that jobs hold, that were spent, or whose owner is gone are no news', async () => {
    world.goTo('2035-06-01T00:00:00Z')
    const { person, accountId } = await addMember()
    await give(accountId, { credits: 3, expires: '2035-06-04T00:00:00Z' })
    await scene.parts.accounts.hold(accountId, crypto.randomUUID(), 3 * credit)
    const gone = await addMember()
    await give(gone.accountId, { credits: 3, expires: '2035-06-04T00:00:00Z' })
    const audit = scene.parts.people.trail.entry('test', {
      action: 'user.disabled',
      target: { kind: 'User', id: gone.person._id, department },
    })
    const nowMs = scene.clock.nowMs()
    const change = { set: { state: 'Disabled' }, audit, nowMs } as const
    await scene.parts.people.users.change(gone.person._id, {}, change)
    await give(`member:${department}:u-nobody`, { credits: 3, expires: '2035-06-04T00:00:00Z' })
    await warnOfExpiry(parts)
    expect(await listedTo(person)).toEqual([])
    expect(await listedTo(gone.person)).toEqual([])
  })

  it('are told of once although the api dies between any two writes', async () => {
    world.goTo('2035-08-01T00:00:00Z')
    const { person, accountId } = await addMember()
    await give(accountId, { credits: 3, expires: '2035-08-04T00:00:00Z' })
    const { warnings } = parts
    const deaths: readonly Partial<WarningParts>[] = [
      { warnings: { ...warnings, replace: died } },
      { mailer: { send: died } },
      { notifier: { notify: died } },
      { warnings: { ...warnings, setTold: died } },
    ]
    for (const death of deaths) {
      await warnOfExpiry({ ...parts, ...death, log: { warn: () => undefined } })
    }
    await warnOfExpiry(parts)
    scene.clock.advance(dayMs)
    await warnOfExpiry(parts)
    expect(await listedTo(person)).toHaveLength(1)
    expect(await world.noticesOf(person._id)).toHaveLength(1)
  })
})
