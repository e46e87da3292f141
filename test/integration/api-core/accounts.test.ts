import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import {
  type AccountService,
  openAccountService,
} from '../../../src/api/features/accounts/service.ts'
import { type AccountStore, openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { type Database, openDatabase } from '../../../src/platform/mongo/database.ts'
import { accountFaults } from '../../../src/shared/domain/account.ts'
import { isChain } from '../../../src/shared/domain/account-entry.ts'
import { AppError } from '../../../src/shared/errors.ts'
import { testEnvironment } from '../../support/environment.ts'
import { longTests } from '../../support/long.ts'
import { startTestClock } from './scene.ts'

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const clock = startTestClock()
const name = `ledger-${randomBytes(5).toString('hex')}`
const databases: Database[] = []

/** One api process: its own connection, its own queues. */
async function openReplica(change: (store: AccountStore) => AccountStore = (store) => store) {
  const uri = new URL(testEnvironment().mongodbUri)
  uri.pathname = `/${name}`
  const database = await openDatabase({ uri: uri.toString(), connectionsMax: 4 })
  databases.push(database)
  const store = change(openAccountStore(database))
  return { store, accounts: openAccountService({ store, clock, hash, random: Math.random, pause }) }
}

let replicas: Awaited<ReturnType<typeof openReplica>>[]
let accounts: AccountService
let store: AccountStore

beforeAll(async () => {
  replicas = await Promise.all(Array.from({ length: 8 }, () => openReplica()))
  const [first] = replicas
  if (first === undefined) throw new Error('there is a replica')
  ;({ accounts, store } = first)
})
afterAll(async () => {
  await databases[0]?.native.dropDatabase()
  await Promise.all(databases.map((database) => database.close()))
})

function newId(): string {
  return randomBytes(13).toString('hex')
}

async function fund(microCredits: number): Promise<string> {
  const accountId = `member:d:${newId()}`
  await accounts.issue({ accountId, issueId: newId(), microCredits, expiresMs: null })
  return accountId
}

async function relay(from = store, { receive } = accounts) {
  return await relayOutboxes({ store: from, receive })
}

async function entriesOf(accountId: string) {
  await relay()
  return await store.entriesOf(accountId, 0)
}

describe('one account and eight processes', () => {
  it('is never overdrawn', async () => {
    const accountId = await fund(20)
    const outcomes = await Promise.all(
      replicas.flatMap((replica) =>
        Array.from({ length: 5 }, () => replica.accounts.hold(accountId, newId(), 1)),
      ),
    )
    expect(outcomes.filter(({ kind }) => kind === 'Held')).toHaveLength(20)
    expect(outcomes.filter(({ kind }) => kind === 'Insufficient')).toHaveLength(20)
    expect(await accounts.balanceOf(accountId)).toMatchObject({
      availableMicroCredits: 0,
      heldMicroCredits: 20,
    })
  })

  it('holds once for one job, however often it is asked', async () => {
    const accountId = await fund(100)
    const jobId = newId()
    const all = replicas.flatMap((replica) =>
      [1, 2].map(() => replica.accounts.hold(accountId, jobId, 7)),
    )
    expect(new Set((await Promise.all(all)).map(({ kind }) => kind))).toEqual(new Set(['Held']))
    expect((await accounts.balanceOf(accountId)).heldMicroCredits).toBe(7)
    expect(await entriesOf(accountId)).toHaveLength(2)
  })

  it('lets exactly one of settle, void and expire end a hold, and tells all the same', async () => {
    for (let round = 0; round < 5; round += 1) {
      const accountId = await fund(10)
      const jobId = newId()
      await accounts.hold(accountId, jobId, 10)
      const outcomes = await Promise.all(
        replicas.map(({ accounts: own }, index) => {
          if (index % 3 === 0) return own.settle(accountId, jobId, 6)
          return index % 3 === 1 ? own.void(accountId, jobId) : own.expire(accountId, jobId)
        }),
      )
      expect(new Set(outcomes.map((outcome) => JSON.stringify(outcome))).size).toBe(1)
      const balance = await accounts.balanceOf(accountId)
      const charged = outcomes[0]?.kind === 'Settled' ? 6 : 0
      expect(balance).toMatchObject({ heldMicroCredits: 0, spentMicroCredits: charged })
      expect(balance.availableMicroCredits).toBe(10 - charged)
      const endings = (await entriesOf(accountId)).filter(
        ({ kind }) => !['Issue', 'Hold'].includes(kind),
      )
      expect(endings).toHaveLength(1)
      expect(await accounts.hold(accountId, jobId, 10)).toEqual({ kind: 'Ended' })
    }
  })

  it('is issued once for one id', async () => {
    const accountId = `member:d:${newId()}`
    const issue = { accountId, issueId: newId(), microCredits: 5, expiresMs: null }
    await Promise.all(replicas.map((replica) => replica.accounts.issue(issue)))
    await relay()
    await accounts.issue(issue)
    expect((await accounts.balanceOf(accountId)).availableMicroCredits).toBe(5)
  })

  it('keeps a whole chain while several relays write it down', async () => {
    const accountId = await fund(1000)
    const work = replicas.map(async ({ accounts: own, store: ownStore }) => {
      for (let count = 0; count < 4; count += 1) {
        const jobId = newId()
        await own.hold(accountId, jobId, 3)
        await relay(ownStore, own)
        await own.settle(accountId, jobId, 2)
      }
    })
    await Promise.all(work)
    const entries = await entriesOf(accountId)
    expect(entries).toHaveLength(1 + 8 * 4 * 2)
    expect(isChain(entries, hash)).toBe(true)
    const { account, outbox } = await store.read(accountId)
    expect(outbox).toEqual([])
    expect(account.chain).toBe(entries.at(-1)?.hash)
  })
})

describe('a relay', () => {
  it('may write entries twice, but never one under the name of another', async () => {
    const accountId = await fund(10)
    const { outbox } = await store.read(accountId)
    expect(await store.insertEntries(outbox)).toBe(true)
    expect(await store.insertEntries(outbox)).toBe(true)
    const forged = outbox.map((entry) => ({ ...entry, hash: 'another' }))
    expect(await store.insertEntries(forged)).toBe(false)
    expect(await entriesOf(accountId)).toEqual(outbox)
  })
})

describe('an unknown hold', () => {
  it('cannot be ended, and an unknown account has nothing', async () => {
    const accountId = await fund(1)
    expect(await accounts.settle(accountId, newId(), 1)).toEqual({ kind: 'Unknown' })
    const held = await accounts.hold('member:d:nobody', newId(), 1)
    expect(held).toMatchObject({ kind: 'Insufficient' })
    expect(await accounts.balanceOf('member:d:nobody')).toMatchObject({ availableMicroCredits: 0 })
  })
})

describe('a lost reply', () => {
  it('is answered by reading again: the effect is there once', async () => {
    let losses = 0
    const flaky = await openReplica((real) => ({
      ...real,
      write: async (...args) => {
        const written = await real.write(...args)
        losses += 1
        if (losses % 2 === 1) throw new AppError('platform.unavailable', 'the reply was lost')
        return written
      },
    }))
    const accountId = await fund(10)
    const jobId = newId()
    expect(await flaky.accounts.hold(accountId, jobId, 4)).toMatchObject({ kind: 'Held' })
    expect(await flaky.accounts.settle(accountId, jobId, 3)).toMatchObject({
      kind: 'Settled',
      chargedMicroCredits: 3,
    })
    expect(losses).toBeGreaterThanOrEqual(2)
    expect(await accounts.balanceOf(accountId)).toMatchObject({ spentMicroCredits: 3 })
    expect((await entriesOf(accountId)).map(({ kind }) => kind)).toEqual([
      'Issue',
      'Hold',
      'Settle',
    ])
  })

  it('while the database stays away ends in platform.unavailable', async () => {
    const away = await openReplica((real) => ({
      ...real,
      readMany: async () => await Promise.reject(new AppError('platform.unavailable', 'away')),
    }))
    const held = away.accounts.hold('member:d:a', newId(), 1)
    await expect(held).rejects.toMatchObject({ code: 'platform.unavailable' })
  })
})

describe('many requests in one process', () => {
  it('are committed in groups and answered one by one', async () => {
    let writes = 0
    const counting = await openReplica((real) => ({
      ...real,
      write: async (...args) => {
        writes += 1
        return await real.write(...args)
      },
    }))
    const accountId = await fund(60)
    const all = Array.from({ length: 100 }, () => counting.accounts.hold(accountId, newId(), 1))
    const kinds = (await Promise.all(all)).map(({ kind }) => kind)
    expect(kinds.filter((kind) => kind === 'Held')).toHaveLength(60)
    expect(writes).toBeLessThan(10)
  })
})

describe('more than 5,000 waiting requests', () => {
  it('are not decided, and say when to come again', async () => {
    const accountId = await fund(3000)
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    const slow = await openReplica((real) => ({
      ...real,
      readMany: async (ids) => {
        await opened
        return await real.readMany(ids)
      },
    }))
    const all = Array.from({ length: 5600 }, () => slow.accounts.hold(accountId, newId(), 0))
    const settled = Promise.allSettled(all)
    await expect(all.at(-1)).rejects.toMatchObject({
      code: 'platform.unavailable',
      retryAfterSeconds: 5,
    })
    open()
    await settled
  })
})

type Step =
  | { readonly kind: 'hold' | 'void' | 'expire'; readonly job: number }
  | { readonly kind: 'settle'; readonly job: number; readonly amount: number }
  | { readonly kind: 'relay' }

const job = fc.integer({ min: 0, max: 3 })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom('hold' as const, 'void' as const, 'expire' as const), job }),
  fc.record({ kind: fc.constant('settle' as const), job, amount: fc.integer({ min: 0, max: 9 }) }),
  fc.record({ kind: fc.constant('relay' as const) }),
)

type Place = { readonly accountId: string; readonly prefix: string; readonly own: AccountService }

async function perform(one: Step, { accountId, prefix, own }: Place) {
  if (one.kind === 'relay') return await relay()
  const jobId = `${prefix}-${one.job}`
  if (one.kind === 'hold') return await own.hold(accountId, jobId, 5)
  if (one.kind === 'settle') return await own.settle(accountId, jobId, one.amount)
  return await own[one.kind](accountId, jobId)
}

describe('any batches of requests at once', () => {
  it('keep the account sound and give a replay the same answer', async () => {
    const batches = fc.array(fc.array(step, { minLength: 1, maxLength: 6 }), { maxLength: 5 })
    const property = fc.asyncProperty(batches, async (all) => {
      const accountId = await fund(12)
      const prefix = newId()
      for (const batch of all) {
        const runs = batch.map((one, index) => {
          const replica = replicas[index % replicas.length] ?? { accounts }
          return perform(one, { accountId, prefix, own: replica.accounts })
        })
        await Promise.all(runs)
        expect(accountFaults((await store.read(accountId)).account)).toEqual([])
      }
      const before = (await store.read(accountId)).account
      for (const index of [0, 1, 2, 3]) {
        const replay = await accounts.settle(accountId, `${prefix}-${index}`, 1)
        expect(await accounts.void(accountId, `${prefix}-${index}`)).toEqual(replay)
      }
      expect(before.holds.length).toBeLessThanOrEqual(2)
      const entries = await entriesOf(accountId)
      expect(isChain(entries, hash)).toBe(true)
    })
    await fc.assert(property, { numRuns: longTests ? 1000 : 100 })
  }, 600_000)
})
