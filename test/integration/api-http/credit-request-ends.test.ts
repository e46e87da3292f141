import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { finishRequests } from '../../../src/api/features/credit-requests/finish.ts'
import { endRequestsOfLeavers } from '../../../src/api/features/credit-requests/leave.ts'
import { createCreditRequests } from '../../../src/api/features/credit-requests/service.ts'
import {
  type CreditRequestRow,
  openCreditRequestStore,
} from '../../../src/api/features/credit-requests/store.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { auditLogPage } from '../../../src/shared/wire/audit-log.ts'
import { type CreditScene, newKey, openCreditScene } from './credit-scene.ts'

let scene: CreditScene
beforeAll(async () => {
  scene = await openCreditScene()
})
afterAll(async () => {
  await scene.close()
})
afterEach(async () => {
  const { items } = await scene.requests('noor', { state: 'Waiting', limit: '100' })
  for (const { id } of items) await scene.decide('noor', `${id}/withdraw`)
})

const quiet = { warn: () => undefined }
const parts = () => {
  const { people, accounts, database } = scene.api.core
  const stores = {
    requests: openCreditRequestStore(database),
    accountStore: openAccountStore(database),
  }
  return { ...people, accounts, ...stores, clock: systemClock }
}
const find = async (id: string) => await parts().requests.find(id)
const insert = async (
  user: string,
  changes: Partial<CreditRequestRow> = {},
): Promise<CreditRequestRow> => {
  const nowMs = systemClock.nowMs()
  const row = {
    _id: `cr-${randomBytes(16).toString('hex')}`,
    for: 'Member',
    owner: { department: scene.quality, user },
    microCredits: 2_000_000,
    reason: 'for a fair',
    state: 'Waiting',
    decision: null,
    creationTimeMs: nowMs,
    updateTimeMs: nowMs,
    auditOutbox: [],
    notices: [],
    ...changes,
  } as const
  await parts().requests.insert(row)
  return row
}
const audited = async (id: string) => {
  const url = `/v1/audit-log?target=${id}`
  return auditLogPage.parse((await scene.api.call({ url, as: 'root' })).json()).items
}
const idsSeenBy = async (person: 'noor' | 'lead' | 'root') =>
  (await scene.requests(person, { limit: '100' })).items.map(({ id }) => id)

/** An hour ahead of the clock of the api, whose own task would take it away as well. */
const asking = async () => {
  const timeMs = systemClock.nowMs() + 3_600_000
  const times = { creationTimeMs: timeMs, updateTimeMs: timeMs }
  return await insert(scene.idOf('noor'), { state: 'Asking', ...times })
}

describe('a request that is asked but not yet counted', () => {
  test('is there for nobody', async () => {
    const { _id } = await asking()
    for (const person of ['noor', 'lead', 'root'] as const) {
      expect(await idsSeenBy(person)).not.toContain(_id)
    }
    for (const [person, path] of [
      ['noor', 'withdraw'],
      ['lead', 'approve'],
    ] as const) {
      const response = await scene.decide(
        person,
        `${_id}/${path}`,
        path === 'approve' ? {} : undefined,
      )
      expect(response.json()).toMatchObject({ status: 404, code: 'credits.request_not_found' })
    }
    await parts().requests.removeAsking(_id)
  })

  test('is taken away after 10 seconds and not before', async () => {
    const { _id, updateTimeMs } = await asking()
    const finishAfter = async (ageMs: number) => {
      const clock = { nowMs: () => updateTimeMs + ageMs }
      await finishRequests({ ...parts(), clock }, quiet)
    }
    await finishAfter(10_000)
    expect(await find(_id)).not.toBeNull()
    await finishAfter(10_001)
    expect(await find(_id)).toBeNull()
  })

  test('goes on when it is asked again, and is told of once', async () => {
    const wish = { key: newKey(), credits: '3', reason: 'again' }
    const { id } = await scene.ask('noor', wish)
    const before = (await scene.toldTo(scene.idOf('lead'))).length
    const asked = { state: 'Asking', decision: null, nowMs: systemClock.nowMs() } as const
    await parts().requests.change(id, { states: ['Waiting'] }, asked)
    const all = await Promise.all([scene.ask('noor', wish), scene.ask('noor', wish)])
    expect(all).toMatchObject([
      { id, state: 'Waiting' },
      { id, state: 'Waiting' },
    ])
    const told = await scene.toldTo(scene.idOf('lead'))
    expect(told).toHaveLength(before + 1)
    expect(await audited(id)).toHaveLength(2)
    const other = await scene.post('noor', 'requests', { ...wish, credits: '4' })
    expect(other.json()).toMatchObject({ status: 422, code: 'idempotency.mismatch' })
  })

  test('counts, and one that is refused leaves nothing behind', async () => {
    for (let count = 0; count < 4; count += 1) await scene.ask('noor')
    const { _id } = await asking()
    const before = await scene.toldTo(scene.idOf('lead'))
    const body = { credits: '1', reason: 'a sixth' }
    const sixth = await scene.post('noor', 'requests', body)
    expect(sixth.json()).toMatchObject({ status: 409, code: 'credits.too_many_requests' })
    expect(await scene.toldTo(scene.idOf('lead'))).toEqual(before)
    await parts().requests.removeAsking(_id)
    const { id } = await scene.ask('noor')
    const approving = { state: 'Approving', decision: null, nowMs: systemClock.nowMs() } as const
    await parts().requests.change(id, { states: ['Waiting'] }, approving)
    expect((await scene.post('noor', 'requests', body)).statusCode).toBe(409)
    const back = { state: 'Waiting', decision: null, nowMs: systemClock.nowMs() } as const
    await parts().requests.change(id, { states: ['Approving'] }, back)
    expect((await scene.requests('noor', { state: 'Waiting' })).items).toHaveLength(5)
  })
})

const move = async (user: string, department = scene.research) => {
  const url = `/v1/users/${user}/department`
  const moved = await scene.api.call({ method: 'PUT', url, as: 'root', body: { department } })
  expect(moved.statusCode).toBe(200)
}

describe('a request of who has left the department', () => {
  test('is withdrawn by the platform, with a reason', async () => {
    const moved = await scene.hire()
    const ofMoved = await insert(moved)
    const deleted = await scene.hire()
    const ofDeleted = await insert(deleted)
    await move(moved)
    const url = `/v1/users/${deleted}`
    expect((await scene.api.call({ method: 'DELETE', url, as: 'root' })).statusCode).toBeLessThan(
      300,
    )
    await Promise.all([endRequestsOfLeavers(parts(), quiet), endRequestsOfLeavers(parts(), quiet)])
    const { items } = await scene.requests('lead', { limit: '100' })
    for (const { _id } of [ofMoved, ofDeleted]) {
      expect(items.find(({ id }) => id === _id)).toMatchObject({
        state: 'Withdrawn',
        decision: { by: null, credits: null, reason: 'The person left the department.' },
      })
      const actor = { kind: 'System', id: 'end-requests-of-leavers' }
      expect(await audited(_id)).toMatchObject([{ action: 'credits.request_withdrawn', actor }])
    }
  })

  test('waits for who is disabled, for who is nobody, and for a department', async () => {
    const disabled = await scene.hire()
    const moved = await scene.hire()
    const rows = [
      await insert(disabled),
      await insert('u-nobody'),
      await insert(moved, { for: 'Department' }),
    ]
    await scene.api.call({ method: 'POST', url: `/v1/users/${disabled}/disable`, as: 'root' })
    await move(moved)
    await endRequestsOfLeavers(parts(), quiet)
    for (const { _id } of rows) {
      expect((await find(_id))?.state).toBe('Waiting')
      await scene.decide('root', `${_id}/decline`, { reason: 'over' })
    }
  })

  test('is there for them to see and to withdraw', async () => {
    const userId = await scene.hire()
    const { _id: id } = await insert(userId)
    const colleague = { userId: await scene.hire(), role: 'department_member' } as const
    await move(userId)
    const service = createCreditRequests(parts())
    const caller = { userId, role: 'department_member', department: scene.research } as const
    const { items } = await service.list(caller, { limit: 10 })
    expect(items).toMatchObject([{ id, department: scene.quality }])
    const elses = service.withdraw({ caller: { ...caller, ...colleague }, id })
    await expect(elses).rejects.toMatchObject({ code: 'credits.request_not_found' })
    const withdrawn = await service.withdraw({ caller, id })
    expect(withdrawn).toMatchObject({ state: 'Withdrawn' })
  })
})
