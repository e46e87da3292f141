import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { compareAccounts } from '../../../src/api/tasks/compare-accounts.ts'
import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import type { UserChange } from '../../../src/api/features/users/store.ts'
import { accountLimits } from '../../../src/shared/domain/account.ts'
import { sides } from '../../../src/shared/domain/account-entry.ts'
import { type BudgetScene, openBudgetScene } from './budget-scene.ts'
import { openScene, type Scene, throwWarned } from './scene.ts'

const hourMs = 3_600_000

let scene: Scene
let world: BudgetScene

beforeAll(async () => {
  scene = await openScene()
  world = openBudgetScene(scene)
})
afterAll(async () => await scene.close())

/** A member with 100 micro-credits, of which a job holds 30. */
async function start() {
  const { accounts } = scene.parts
  const department = await world.addDepartment()
  const { _id: userId } = await world.addPerson('department_member', department)
  const [own, theirs] = [`department:${department}`, `member:${department}:${userId}`]
  await accounts.issue({
    accountId: own,
    issueId: crypto.randomUUID(),
    microCredits: 100,
    expiresMs: null,
  })
  await accounts.transfer({
    transferId: crypto.randomUUID(),
    kind: 'Distribute',
    accountId: own,
    recipients: [{ accountId: theirs, microCredits: 100 }],
  })
  const jobId = crypto.randomUUID()
  await accounts.hold(theirs, jobId, 30)
  return { department, userId, own, theirs, jobId }
}

/** Writes a person's row as their move or deletion does, and dies right after it. */
async function changePerson(userId: string, set: UserChange): Promise<void> {
  const { users, trail } = scene.parts.people
  const target = { kind: 'User', id: userId, department: null }
  const audit = trail.entry('test', { action: 'user.moved', target })
  await users.change(userId, {}, { set, audit, nowMs: scene.clock.nowMs() })
}

/** What the leader does in a minute; these jobs have rows that have not ended. */
async function compare(...openJobIds: readonly string[]): Promise<void> {
  const { accountStore: store, accounts } = scene.parts
  await relayOutboxes({ store, receive: accounts.receive })
  await compareAccounts({ ...scene.parts, log: { warn: throwWarned } }, new Set(openJobIds))
}

async function freeOf(...accountIds: readonly string[]): Promise<readonly number[]> {
  const { accounts } = scene.parts
  const balances = await Promise.all(accountIds.map(async (id) => await accounts.balanceOf(id)))
  return balances.map(({ availableMicroCredits }) => availableMicroCredits)
}

describe('changing a member’s department', () => {
  it('brings free credits back to the department, and those of jobs as they end', async () => {
    const { userId, own, theirs, jobId } = await start()
    const elsewhere = await world.addDepartment()
    await compare(jobId)
    expect(await freeOf(own, theirs)).toEqual([0, 70])
    await changePerson(userId, { department: elsewhere })
    await Promise.all([compare(jobId), compare(jobId)])
    expect(await freeOf(own, theirs)).toEqual([70, 0])
    expect(await freeOf(`member:${elsewhere}:${userId}`)).toEqual([0])
    // The job goes on and is paid by the account that it began with.
    await scene.parts.accounts.settle(theirs, jobId, 20)
    expect(await freeOf(own, theirs)).toEqual([70, 10])
    await compare(jobId)
    await compare(jobId)
    expect(await freeOf(own, theirs)).toEqual([80, 0])
    const { account } = await scene.parts.accountStore.read(theirs)
    expect(account.totals).toMatchObject({ received: 100, spent: 20, sent: 80, held: 0 })
  })

  it('leaves what they get after they came back', async () => {
    const { department, userId, own, theirs, jobId } = await start()
    await changePerson(userId, { department: await world.addDepartment() })
    await compare(jobId)
    await changePerson(userId, { department })
    await scene.fund(5, theirs)
    await compare(jobId)
    expect(await freeOf(own, theirs)).toEqual([70, 5])
  })

  it('brings back what was given to them at the same moment', async () => {
    const { userId, own, theirs, jobId } = await start()
    await changePerson(userId, { department: await world.addDepartment() })
    await compare(jobId)
    const recipients = [{ accountId: theirs, microCredits: 50 }]
    const transferId = crypto.randomUUID()
    await scene.parts.accounts.transfer({
      transferId,
      kind: 'Distribute',
      accountId: own,
      recipients,
    })
    await compare(jobId)
    expect(await freeOf(own, theirs)).toEqual([70, 0])
  })
})

describe('deleting a user', () => {
  it('brings their free credits back and lets their jobs be paid', async () => {
    const { userId, own, theirs, jobId } = await start()
    await changePerson(userId, { state: 'Deleted', email: '', name: '' })
    await compare(jobId)
    expect(await freeOf(own, theirs)).toEqual([70, 0])
    await scene.parts.accounts.settle(theirs, jobId, 30)
    await compare()
    expect(await freeOf(own, theirs)).toEqual([70, 0])
    expect((await scene.parts.accounts.balanceOf(theirs)).spentMicroCredits).toBe(30)
  })

  it('is not what disabling them does, and accounts without a person stay', async () => {
    const { userId, department, own, theirs, jobId } = await start()
    await changePerson(userId, { state: 'Disabled' })
    const nobodys = `member:${department}:u-nobody`
    await scene.fund(3, nobodys)
    await compare(jobId)
    expect(await freeOf(own, theirs, nobodys)).toEqual([0, 70, 3])
  })
})

describe('expiring a lot under a live hold', () => {
  it('leaves the hold; what comes back has expired', async () => {
    const { accounts, accountStore } = scene.parts
    const accountId = `department:${await world.addDepartment()}`
    const expiresMs = scene.clock.nowMs() + hourMs
    const issue = { accountId, issueId: crypto.randomUUID(), microCredits: 100, expiresMs }
    await accounts.issue(issue)
    const jobId = crypto.randomUUID()
    await accounts.hold(accountId, jobId, 60)
    scene.clock.advance(hourMs + accountLimits.toleranceMs)
    await compare(jobId)
    await compare(jobId)
    const lapsed = (await accountStore.read(accountId)).account
    expect(lapsed.totals).toMatchObject({ available: 0, held: 60, expired: 40 })
    await accounts.settle(accountId, jobId, 25)
    const { account, outbox } = await accountStore.read(accountId)
    expect(account.totals).toMatchObject({ available: 0, held: 0, spent: 25, expired: 75 })
    const entries = [...(await accountStore.entriesOf(accountId, 0)), ...outbox]
    const settled = entries.find(({ kind }) => kind === 'Settle')
    expect(settled?.postings.map(({ credit, microCredits }) => [credit, microCredits])).toEqual([
      [sides.revenue, 25],
      [sides.expired, 35],
    ])
  })
})

describe('a hold', () => {
  it('of a job that never came to be is expired, one of a live job never is', async () => {
    const { accounts, store } = scene.parts
    const accountId = `department:${await world.addDepartment()}`
    await scene.fund(100, accountId)
    const [never, live] = [crypto.randomUUID(), crypto.randomUUID()]
    for (const jobId of [never, live]) await accounts.hold(accountId, jobId, 10)
    await compare(live)
    expect((await accounts.balanceOf(accountId)).heldMicroCredits).toBe(20)
    // Clocks that jump, back and forth, make no hold of a live job old.
    for (const ms of [-hourMs, 24 * hourMs]) {
      scene.clock.advance(ms)
      await compare(live)
    }
    expect((await accounts.balanceOf(accountId)).heldMicroCredits).toBe(10)
    expect(await accounts.void(accountId, never)).toMatchObject({ kind: 'Expired' })
    expect(await store.getMany([never, live])).toEqual([])
  })
})
