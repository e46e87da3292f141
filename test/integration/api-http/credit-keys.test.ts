import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { movementTasks } from '../../../src/api/features/accounts/move-once.ts'
import { openMovementStore } from '../../../src/api/features/accounts/movement-store.ts'
import { openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { type CreditScene, newKey, openCreditScene } from './credit-scene.ts'

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

/** A member with 3 credits that were charged and 2 that are free. */
const charge = async () => {
  const owner = { department: scene.quality, user: await scene.hire() }
  await scene.post('root', 'issues', { ...owner, credits: '5' })
  const accountId = accountIdOf(owner)
  const jobId = newKey()
  await scene.api.core.accounts.hold(accountId, jobId, 3_000_000)
  await scene.api.core.accounts.settle(accountId, jobId, 3_000_000)
  return { owner, entry: `${jobId}:settle` }
}
const freeOf = async (query: Record<string, string>) =>
  (await scene.account('root', query)).available
const forgetAfter = async (ageMs: number) => {
  const clock = { nowMs: () => systemClock.nowMs() + ageMs }
  const { people, database } = scene.api.core
  const accountStore = openAccountStore(database)
  const movements = openMovementStore(database)
  const tasks = movementTasks(
    { ...people, accountStore, movements, clock },
    { warn: () => undefined },
  )
  await tasks.find(({ name }) => name === 'forget-credit-movements')?.run()
}

describe('a key', () => {
  const mismatch = { status: 422, code: 'idempotency.mismatch' }

  test('stands for one department, one amount and one operation', async () => {
    const { quality, research } = scene
    await scene.empty(research)
    await scene.fund('5')
    const key = newKey()
    const body = { department: quality, credits: '3' }
    expect((await scene.post('root', 'issues', { ...body, key })).statusCode).toBe(201)
    const others = [
      await scene.post('root', 'issues', { ...body, department: research, key }),
      await scene.post('root', 'issues', { ...body, reason: 'other', key }),
      await scene.post('root', 'revocations', { ...body, key }),
      await scene.post('root', 'revocations', { department: quality, key }),
    ]
    for (const other of others) expect(other.json()).toMatchObject(mismatch)
    expect(await freeOf({ department: quality })).toBe('8')
    expect(await freeOf({ department: research })).toBe('0')
  })

  test('of an adjustment stands for one entry and one amount', async () => {
    const [one, two] = [await charge(), await charge()]
    const key = newKey()
    const body = { entry: one.entry, credits: '1', reason: 'was black', key }
    const first = await scene.post('root', 'adjustments', body)
    expect(first.statusCode).toBe(201)
    for (const changes of [{ entry: two.entry }, { credits: '2' }, { reason: 'other' }]) {
      const other = await scene.post('root', 'adjustments', { ...body, ...changes })
      expect(other.json()).toMatchObject(mismatch)
    }
    expect((await scene.post('root', 'adjustments', body)).body).toBe(first.body)
    expect([await freeOf(one.owner), await freeOf(two.owner)]).toEqual(['3', '2'])
  })

  test('counts for one of two bodies at the same moment', async () => {
    const key = newKey()
    const { quality: department } = scene
    const wishes = ['1', '2'].map((credits) => ({ department, credits, key }))
    const both = await Promise.all(wishes.map((wish) => scene.post('root', 'issues', wish)))
    expect(new Set(both.map(({ statusCode }) => statusCode))).toEqual(new Set([201, 422]))
    expect(await freeOf({ department })).toBe(both[0]?.statusCode === 201 ? '1' : '2')
  })

  test('of a refused movement stays for its body, which may be tried again', async () => {
    const { quality: department } = scene
    const user = await scene.hire()
    const wish = { department, members: [{ user, credits: '1' }], key: newKey() }
    expect((await scene.post('lead', 'distributions', wish)).statusCode).toBe(402)
    await scene.fund('2')
    const other = { ...wish, members: [{ user, credits: '2' }] }
    expect((await scene.post('lead', 'distributions', other)).json()).toMatchObject(mismatch)
    const again = await scene.post('lead', 'distributions', wish)
    expect(again.statusCode).toBe(201)
    expect((await scene.post('lead', 'distributions', wish)).body).toBe(again.body)
    expect(await freeOf({ department })).toBe('1')
  })

  test('is free again after what nobody may ask for', async () => {
    const key = newKey()
    const { quality: department } = scene
    const nobody = { department, members: [{ user: 'nobody', credits: '1' }], key }
    expect((await scene.post('lead', 'distributions', nobody)).statusCode).toBe(400)
    await scene.fund('1')
    const members = [{ user: await scene.hire(), credits: '1' }]
    const right = await scene.post('lead', 'distributions', { department, members, key })
    expect(right.statusCode).toBe(201)
  })

  test('is forgotten after seven days; the same body still moves nothing again', async () => {
    const key = newKey()
    const wish = { department: scene.quality, credits: '1', key }
    const first = await scene.post('root', 'issues', wish)
    const other = async () => await scene.post('root', 'issues', { ...wish, credits: '2' })
    await forgetAfter(7 * 86_400_000 - 60_000)
    expect((await other()).json()).toMatchObject(mismatch)
    await forgetAfter(7 * 86_400_000 + 1)
    expect((await scene.post('root', 'issues', wish)).body).toBe(first.body)
    expect((await other()).json()).toMatchObject(mismatch)
    await forgetAfter(7 * 86_400_000 + 1)
    expect((await other()).statusCode).toBe(201)
  })
})
