import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { makeAdjustment } from '../../../src/api/features/accounts/adjustments.ts'
import { makeDistribution } from '../../../src/api/features/accounts/distributions.ts'
import { makeIssue } from '../../../src/api/features/accounts/issues.ts'
import { openLedgerReader } from '../../../src/api/features/accounts/ledger-reader.ts'
import { finishMovements } from '../../../src/api/features/accounts/move-once.ts'
import { openMovementStore } from '../../../src/api/features/accounts/movement-store.ts'
import { makeRevocation } from '../../../src/api/features/accounts/revocations.ts'
import { openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import type { AuditAction } from '../../../src/shared/domain/audit-actions.ts'
import { accountIdOf, type Caller } from '../../../src/shared/domain/caller.ts'
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

const openParts = () => {
  const { people, accounts, database } = scene.api.core
  const accountStore = openAccountStore(database)
  const movements = openMovementStore(database)
  const ledger = openLedgerReader(database)
  return { ...people, accounts, accountStore, movements, ledger, clock: systemClock }
}
type Parts = ReturnType<typeof openParts>

async function die(): Promise<never> {
  throw new Error('killed')
}
/** Killed after credits have moved, and before. */
const dyingLate = (): Parts => {
  const parts = openParts()
  return { ...parts, auditLog: { ...parts.auditLog, append: die } }
}
const dyingEarly = (): Parts => {
  const parts = openParts()
  const dead = { issue: die, transfer: die, recall: die, adjust: die }
  return { ...parts, accounts: { ...parts.accounts, ...dead } }
}

const origin = { ip: '203.0.113.9', userAgent: 'curl', requestId: 'r-1' }
const callerOf = (person: 'root' | 'lead', keyId = 'ak-1'): Caller => {
  const role = person === 'root' ? 'super_admin' : 'department_admin'
  return { userId: scene.idOf(person), role, department: scene.quality, keyId, origin }
}

/** A member with 3 credits that were charged and 2 that are free. */
const charge = async () => {
  const user = await scene.hire()
  const { quality: department } = scene
  await scene.post('root', 'issues', { department, user, credits: '5' })
  const accountId = accountIdOf({ department, user })
  const jobId = newKey()
  await scene.api.core.accounts.hold(accountId, jobId, 3_000_000)
  await scene.api.core.accounts.settle(accountId, jobId, 3_000_000)
  return { user, accountId, entry: `${jobId}:settle` }
}

type Case = {
  readonly action: AuditAction
  readonly available: string
  readonly make: (
    parts: Parts,
    person: { readonly user: string; readonly entry: string; readonly key: string },
  ) => Promise<unknown>
}
/** Each of 2 credits; who has 2 has so many afterwards. */
const cases: readonly Case[] = [
  {
    action: 'credits.issued',
    available: '4',
    make: async (parts, { user, key }) => {
      const request = { department: scene.quality, user, credits: '2', expiresTime: null }
      return await makeIssue(parts, { caller: callerOf('root'), key, request })
    },
  },
  {
    action: 'credits.distributed',
    available: '4',
    make: async (parts, { user, key }) => {
      const request = { department: scene.quality, members: [{ user, credits: '2' }] }
      return await makeDistribution(parts, { caller: callerOf('lead'), key, request })
    },
  },
  {
    action: 'credits.revoked',
    available: '0',
    make: async (parts, { user, key }) => {
      const request = { department: scene.quality, user }
      return await makeRevocation(parts, { caller: callerOf('lead'), key, request })
    },
  },
  {
    action: 'credits.adjusted',
    available: '4',
    make: async (parts, { entry, key }) => {
      const request = { entry, credits: '2', expiresTime: null, reason: 'was black' }
      return await makeAdjustment(parts, { caller: callerOf('root'), key, request })
    },
  },
]
const table = cases.map((one) => [one.action, one] as const)

/** One movement, and what came of it. */
const prepare = async ({ action, make }: Case) => {
  await scene.fund('5')
  const { user, accountId, entry } = await charge()
  const key = newKey()
  const { movements, auditLog } = openParts()
  const toldBefore = (await scene.toldTo(user)).length
  const untold = async () => {
    const found = await movements.findUntold(Number.MAX_SAFE_INTEGER, 1000)
    return found.filter((one) => one.accountId === accountId || one.action === action)
  }
  for (const left of await untold()) await movements.setTold(left, 1)
  return {
    user,
    accountId,
    entry,
    make: async (parts: Parts) => await make(parts, { user, entry, key }),
    untold,
    /** The task, so long after the last try. */
    finishAfter: async (ageMs: number) => {
      const [document] = await untold()
      const tryTimeMs = document?.tryTimeMs ?? systemClock.nowMs()
      const clock = { nowMs: () => tryTimeMs + ageMs }
      await finishMovements({ ...openParts(), clock }, { warn: () => undefined })
    },
    audited: async () => {
      const found = await auditLog.page({ action, targetId: accountId, limit: 100 })
      // The one that `charge` issued through the api.
      return found.filter(({ actor }) => actor.keyId !== null)
    },
    told: async () => (await scene.toldTo(user)).length - toldBefore,
    available: async () => (await scene.account('root', ofUser(user))).available,
  }
}
const ofUser = (user: string) => ({ department: scene.quality, user })

describe.each(table)('%s', (action, one) => {
  test('is told of once by the task when it was killed after credits had moved', async () => {
    const movement = await prepare(one)
    await expect(movement.make(dyingLate())).rejects.toThrow('killed')
    expect(await movement.available()).toBe(one.available)
    await movement.finishAfter(10_000)
    expect([await movement.audited(), await movement.told()]).toEqual([[], 0])
    await movement.finishAfter(10_001)
    expect(await movement.untold()).toEqual([])
    await movement.finishAfter(10_001)
    await movement.make(openParts())
    const by = callerOf(
      action === 'credits.issued' || action === 'credits.adjusted' ? 'root' : 'lead',
    )
    expect(await movement.audited()).toMatchObject([
      {
        actor: { id: by.userId, role: by.role, department: scene.quality, keyId: 'ak-1' },
        target: { kind: 'Account', id: movement.accountId, department: scene.quality },
        after: { credits: '2' },
        origin,
      },
    ])
    expect(await movement.told()).toBe(1)
    expect(await movement.available()).toBe(one.available)
  })

  test('is told of by its sender when it is sent again first', async () => {
    const movement = await prepare(one)
    await expect(movement.make(dyingLate())).rejects.toThrow('killed')
    const again = await movement.make(openParts())
    expect(await movement.make(openParts())).toEqual(again)
    expect(await movement.untold()).toEqual([])
    expect([(await movement.audited()).length, await movement.told()]).toEqual([1, 1])
  })

  test('tells nothing where nothing moved, and moves with the same key later', async () => {
    const movement = await prepare(one)
    await expect(movement.make(dyingEarly())).rejects.toThrow('killed')
    await movement.finishAfter(600_000)
    expect(await movement.untold()).toHaveLength(1)
    await movement.finishAfter(600_001)
    expect(await movement.untold()).toEqual([])
    expect([await movement.audited(), await movement.told()]).toEqual([[], 0])
    expect(await movement.available()).toBe('2')
    // Killed again, after credits have moved this time.
    await expect(movement.make(dyingLate())).rejects.toThrow('killed')
    expect(await movement.available()).toBe(one.available)
    await movement.finishAfter(10_001)
    expect([(await movement.audited()).length, await movement.told()]).toEqual([1, 1])
  })

  test('happens once for two requests with one key at the same moment', async () => {
    const movement = await prepare(one)
    const [a, b] = await Promise.all([movement.make(openParts()), movement.make(openParts())])
    expect(a).toEqual(b)
    expect(await movement.available()).toBe(one.available)
    expect([(await movement.audited()).length, await movement.told()]).toEqual([1, 1])
    expect(await movement.untold()).toEqual([])
  })
})

const adjustAs = async (parts: Parts, entry: string, userId: string) => {
  const caller = { ...callerOf('root', `ak-${userId}`), userId }
  const request = { entry, credits: '2', expiresTime: null, reason: 'was black' }
  return await makeAdjustment(parts, { caller, key: newKey(), request })
}
const adjustmentsOf = async (targetId: string) =>
  await openParts().auditLog.page({ action: 'credits.adjusted', targetId, limit: 9 })

describe('an adjustment of two super admins', () => {
  test('is the first one’s, who was killed, also in the audit log', async () => {
    const { entry, accountId } = await charge()
    // Its order is the oldest, and moved nothing.
    await expect(adjustAs(dyingEarly(), entry, 'u-third')).rejects.toThrow('killed')
    await expect(adjustAs(dyingLate(), entry, 'u-first')).rejects.toThrow('killed')
    const second = adjustAs(openParts(), entry, 'u-second')
    await expect(second).rejects.toMatchObject({ code: 'credits.adjusted' })
    expect(await adjustmentsOf(accountId)).toEqual([])
    const clock = { nowMs: () => systemClock.nowMs() + 20_000 }
    await finishMovements({ ...openParts(), clock }, { warn: () => undefined })
    expect(await adjustmentsOf(accountId)).toMatchObject([
      { actor: { id: 'u-first', keyId: 'ak-u-first' } },
    ])
  })

  test('is made once by two at the same moment, and the other hears so', async () => {
    const { entry, accountId } = await charge()
    const both = ['u-first', 'u-second'].map(async (id) => await adjustAs(openParts(), entry, id))
    const answers = await Promise.allSettled(both)
    expect(answers.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
    expect(answers.find(({ status }) => status === 'rejected')).toMatchObject({
      reason: { code: 'credits.adjusted' },
    })
    const winner = answers[0]?.status === 'fulfilled' ? 'u-first' : 'u-second'
    expect(await adjustmentsOf(accountId)).toMatchObject([{ actor: { id: winner } }])
  })
})
