import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { completeApproval } from '../../../src/api/features/credit-requests/complete.ts'
import { finishRequests } from '../../../src/api/features/credit-requests/finish.ts'
import {
  type CreditRequestRow,
  openCreditRequestStore,
} from '../../../src/api/features/credit-requests/store.ts'
import { openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import { type CreditScene, openCreditScene, type Wish } from './credit-scene.ts'
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
const quiet = { warn: () => undefined }

/** An hour ahead of the clock of the api, whose own task would finish what broke off as well. */
const brokeOffMs = systemClock.nowMs() + 3_600_000
/** The task, so long after approvals broke off. */
const finishAfter = async (ageMs: number): Promise<void> => {
  const clock = { nowMs: () => brokeOffMs + ageMs }
  await finishRequests({ ...parts(), clock }, quiet)
}
/** Takes the decision of a request back to where a crash left it. */
const breakOff = async (person: Person, changes: Wish = {}): Promise<string> => {
  const { id } = await scene.ask(person, changes)
  const { requests, trail } = parts()
  const row = await requests.find(id)
  if (row === null) throw new Error('the request is not there')
  const by = { userId: scene.idOf('lead'), role: 'department_admin' } as const
  const audit = trail.entry(
    { ...by, department: scene.quality },
    {
      action: 'credits.request_approved',
      target: { kind: 'CreditRequest', id, department: scene.quality },
    },
  )
  const amounts = { microCredits: row.microCredits, expiresMs: null, reason: null }
  const decision = { by: by.userId, timeMs: brokeOffMs, ...amounts, audit }
  const change = { state: 'Approving', decision, nowMs: brokeOffMs } as const
  await requests.change(id, { states: ['Waiting'] }, change)
  return id
}
/** What an approver who stood still does at last. */
const moveLate = async (id: string): Promise<void> => {
  const user = scene.idOf('mina')
  const { quality: department } = scene
  await scene.api.core.accounts.transfer({
    transferId: id,
    kind: 'Distribute',
    accountId: accountIdOf({ department }),
    recipients: [{ accountId: accountIdOf({ department, user }), microCredits: 2_000_000 }],
    note: { by: scene.idOf('lead'), reason: 'for a fair' },
  })
}
const expectNoted = async (id: string): Promise<void> => {
  expect(await stateOf(id)).toBe('Approved')
  expect((await rowOf(id)).decision).toMatchObject({ by: scene.idOf('lead'), microCredits: 2e6 })
  const url = `/v1/audit-log?target=${id}&action=credits.request_approved`
  const log = auditLogPage.parse((await scene.api.call({ url, as: 'root' })).json()).items
  const actor = { id: scene.idOf('lead'), role: 'department_admin' }
  expect(log).toMatchObject([{ actor, after: { credits: '2' } }])
  const told = await scene.toldTo(scene.idOf('mina'))
  const fact = { kind: 'CreditRequestApproved', requestId: id }
  expect(told.filter(({ kind }) => kind === fact.kind)[0]).toMatchObject(fact)
}
const rowOf = async (id: string): Promise<CreditRequestRow> => {
  const row = await parts().requests.find(id)
  if (row === null) throw new Error('the request is not there')
  return row
}

describe('an approval that broke off', () => {
  test('before its movement is finished after 10 seconds and not before', async () => {
    await scene.fund('5')
    const before = await available('mina')
    const id = await breakOff('mina')
    await finishAfter(10_000)
    expect(await stateOf(id)).toBe('Approving')
    await Promise.all([finishAfter(10_001), finishAfter(10_001)])
    expect(await stateOf(id)).toBe('Approved')
    expect(await available('mina')).toBe(before + 2)
    expect((await scene.toldTo(scene.idOf('mina')))[0]).toMatchObject({
      kind: 'CreditRequestApproved',
      requestId: id,
    })
    const row = await rowOf(id)
    expect([row.auditOutbox, row.notices]).toEqual([[], []])
  })

  test('after its movement is noted, and the credits move no second time', async () => {
    await scene.fund('5')
    const before = await available('mina')
    const id = await breakOff('mina')
    await moveLate(id)
    await finishAfter(11_000)
    expect(await stateOf(id)).toBe('Approved')
    expect(await available('mina')).toBe(before + 2)
    expect(await departmentHas()).toBe('3')
  })

  test('for a department is finished with one issue', async () => {
    const id = await breakOff('lead', { for: 'Department', credits: '6' })
    await finishAfter(11_000)
    await finishAfter(11_000)
    expect(await stateOf(id)).toBe('Approved')
    expect(await departmentHas()).toBe('6')
  })

  test('without the credits waits again, and can be decided', async () => {
    const id = await breakOff('mina')
    await finishAfter(11_000)
    expect(await stateOf(id)).toBe('Waiting')
    expect((await decline('lead', id)).statusCode).toBe(200)
  })
})

const takenBack = async (): Promise<{ id: string; approver: CreditRequestRow }> => {
  const id = await breakOff('mina')
  const approver = await rowOf(id)
  await finishAfter(11_000)
  expect(await stateOf(id)).toBe('Waiting')
  return { id, approver }
}

describe('a movement that comes after its approval was taken back', () => {
  const end = {
    Waiting: async () => undefined,
    Declined: async (id: string) => await decline('lead', id),
    Withdrawn: async (id: string) => await scene.decide('mina', `${id}/withdraw`),
  } as const
  const states = ['Waiting', 'Declined', 'Withdrawn'] as const

  test.each(states)('is what counts for the approver of a request that is %s', async (state) => {
    const { id, approver } = await takenBack()
    await end[state](id)
    expect(await stateOf(id)).toBe(state)
    await scene.fund('5')
    expect((await completeApproval(parts(), approver)).kind).toBe('Approved')
    await expectNoted(id)
    expect((await decline('lead', id)).json()).toMatchObject(decided)
    expect(await departmentHas()).toBe('3')
  })

  test.each(states)('is noted by the task for a request that is %s', async (state) => {
    const { id } = await takenBack()
    await end[state](id)
    await scene.fund('5')
    await moveLate(id)
    await Promise.all([finishAfter(11_000), finishAfter(11_000)])
    await expectNoted(id)
    expect(await departmentHas()).toBe('3')
  })

  test('is noted by who would end the request', async () => {
    for (const state of ['Declined', 'Withdrawn'] as const) {
      const { id } = await takenBack()
      await scene.fund('2')
      await moveLate(id)
      expect((await end[state](id)).json()).toMatchObject(decided)
      await expectNoted(id)
    }
  })

  test('is noted with what it moved when another amount was approved since', async () => {
    const { id } = await takenBack()
    await scene.fund('5')
    await moveLate(id)
    const response = await scene.decide('root', `${id}/approve`, { credits: '1' })
    expect(response.json()).toMatchObject({ decision: { by: { name: 'lead' }, credits: '2' } })
    await expectNoted(id)
    expect(await departmentHas()).toBe('3')
  })

  test('is looked for during an hour', async () => {
    const { id } = await takenBack()
    const { requests } = parts()
    const { lateUntilMs = 0, updateTimeMs } = await rowOf(id)
    expect(lateUntilMs - updateTimeMs).toBe(3_600_000)
    const idsAt = async (nowMs: number) =>
      (await requests.findTakenBack(nowMs, 100)).map(({ _id }) => _id)
    expect(await idsAt(lateUntilMs - 1)).toContain(id)
    expect(await idsAt(lateUntilMs)).not.toContain(id)
  })
})
