import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import { accountFaults } from '../../../src/shared/domain/account.ts'
import { type Entry, isChain } from '../../../src/shared/domain/account-entry.ts'
import { sendCredits } from '../../../src/shared/domain/account-movement.ts'
import { longTests } from '../../support/long.ts'
import { hash } from '../../support/ledger/processes.ts'
import { newId, openReplicas, type Replica, type Replicas } from './accounts-replicas.ts'

let replicas: Replicas
let [first, second]: readonly Replica[] = []

beforeAll(async () => {
  replicas = await openReplicas(8)
  ;[first = replicas.first, second = replicas.first] = replicas.all
})
afterAll(async () => await replicas.close())

/** The two replicas of a test. */
function both(): readonly [Replica, Replica] {
  return [first ?? replicas.first, second ?? replicas.first]
}

async function fund(microCredits: number, accountId = `member:d:${newId()}`): Promise<string> {
  const issue = { accountId, issueId: newId(), microCredits, expiresMs: null }
  await replicas.first.accounts.issue(issue)
  return accountId
}

async function chainOf(accountId: string): Promise<readonly Entry[]> {
  await replicas.relay()
  const { store } = replicas.first
  const { account, outbox } = await store.read(accountId)
  expect(accountFaults(account)).toEqual([])
  expect(outbox).toEqual([])
  const entries: Entry[] = []
  for (;;) {
    const page = await store.entriesOf(accountId, entries.length)
    if (page.length === 0) break
    entries.push(...page)
  }
  expect(isChain(entries, hash)).toBe(true)
  expect(entries).toHaveLength(account.seq)
  return entries
}

function transfer(accountId: string, to: string | null, microCredits: number) {
  const kind = 'Distribute' as const
  return { transferId: newId(), kind, accountId, recipients: [{ accountId: to, microCredits }] }
}

const jobs = longTests ? 1000 : 100

describe(`eight processes that end each of ${jobs} holds at once`, () => {
  it('have one winner each, and all are told how it ended', async () => {
    const accountId = await fund(jobs * 10)
    const jobIds = Array.from({ length: jobs }, newId)
    await Promise.all(jobIds.map((id) => replicas.first.accounts.hold(accountId, id, 10)))
    let charged = 0
    for (let from = 0; from < jobs; from += 50) {
      const some = jobIds.slice(from, from + 50)
      const ended = await Promise.all(some.map(async (id) => await race(accountId, id)))
      charged += ended.reduce((sum, one) => sum + one, 0)
    }
    const { account } = await replicas.first.store.read(accountId)
    expect(account.holds).toEqual([])
    expect(account.totals).toMatchObject({
      spent: charged,
      held: 0,
      available: jobs * 10 - charged,
    })
    const entries = await chainOf(accountId)
    expect(entries).toHaveLength(1 + 2 * jobs)
    const endings = entries.filter(({ kind }) => ['Settle', 'Void', 'Expire'].includes(kind))
    expect(new Set(endings.map(({ jobId }) => jobId)).size).toBe(jobs)
  })
})

/** What the job was charged. */
async function race(accountId: string, jobId: string): Promise<number> {
  const outcomes = await Promise.all(
    replicas.all.map(async ({ accounts }, index) => {
      if (index % 3 === 0) return await accounts.settle(accountId, jobId, index + 1)
      return await accounts[index % 3 === 1 ? 'void' : 'expire'](accountId, jobId)
    }),
  )
  expect(new Set(outcomes.map((one) => JSON.stringify(one))).size).toBe(1)
  const [outcome] = outcomes
  return outcome !== undefined && 'chargedMicroCredits' in outcome ? outcome.chargedMicroCredits : 0
}

describe('two processes that distribute and revoke between the same accounts', () => {
  it('lose nothing and make nothing', async () => {
    const department = await fund(1000, `department:${newId()}`)
    const members = await Promise.all([1, 2, 3].map(async () => await fund(100)))
    const work = both().flatMap(({ accounts }) =>
      Array.from({ length: 10 }, async (_, index) => {
        const member = members[index % 3] ?? ''
        await accounts.transfer(transfer(department, member, 7))
        await accounts.transfer({ ...transfer(member, department, 5), kind: 'Revoke' })
      }),
    )
    await Promise.all(work)
    const all = [department, ...members]
    for (const id of all) await chainOf(id)
    const found = [...(await replicas.first.store.readMany(all)).values()]
    const available = found.map(({ account }) => account.totals.available)
    expect(available.reduce((sum, one) => sum + one, 0)).toBe(1300)
    expect(available[0]).toBe(1000 - 20 * (7 - 5))
    expect(found.map(({ account: { totals } }) => totals.sent)[0]).toBe(20 * 7)
  })
})

describe('a process that remembers an account as it no longer is', () => {
  it('does not refuse what is covered by now', async () => {
    const [writer, dreamer] = both()
    const accountId = await fund(5)
    await dreamer.accounts.hold(accountId, newId(), 5)
    await dreamer.accounts.idle()
    await writer.accounts.issue({ accountId, issueId: newId(), microCredits: 9, expiresMs: null })
    expect(await dreamer.accounts.hold(accountId, newId(), 9)).toMatchObject({ kind: 'Held' })
  })

  it('does not hold what is spent by now', async () => {
    const [writer, dreamer] = both()
    const accountId = await fund(10)
    await dreamer.accounts.hold(accountId, newId(), 1)
    await dreamer.accounts.idle()
    await writer.accounts.transfer(transfer(accountId, null, 9))
    expect(await dreamer.accounts.hold(accountId, newId(), 1)).toMatchObject({
      kind: 'Insufficient',
      availableMicroCredits: 0,
    })
  })

  it('does not call a job unknown that has its hold, nor held one that ended', async () => {
    const [writer, dreamer] = both()
    const accountId = await fund(10)
    const [mine, other] = [newId(), newId()]
    await dreamer.accounts.hold(accountId, mine, 4)
    await dreamer.accounts.idle()
    await writer.accounts.hold(accountId, other, 3)
    await writer.accounts.settle(accountId, mine, 2)
    expect(await dreamer.accounts.hold(accountId, mine, 4)).toEqual({ kind: 'Ended' })
    expect(await dreamer.accounts.void(accountId, mine)).toMatchObject({ kind: 'Settled' })
    expect(await dreamer.accounts.void(accountId, other)).toMatchObject({ kind: 'Voided' })
  })

  it('gives back what was charged since, by entries it has not seen yet', async () => {
    const [writer, dreamer] = both()
    const accountId = await fund(10)
    const jobId = newId()
    await dreamer.accounts.hold(accountId, jobId, 4)
    await dreamer.accounts.idle()
    await writer.accounts.settle(accountId, jobId, 3)
    await writer.accounts.idle()
    const adjustment = {
      accountId,
      entryId: `${jobId}:settle`,
      microCredits: 3,
      expiresMs: null,
      note: { by: 'u-admin', reason: 'a bad picture' },
    }
    expect(await dreamer.accounts.adjust(adjustment)).toMatchObject({ kind: 'Adjusted' })
    expect((await writer.accounts.balanceOf(accountId)).availableMicroCredits).toBe(10)
  })

  it('tells how a hold ended that it remembers as open, beside who names its ending', async () => {
    const [writer, dreamer] = both()
    const accountId = await fund(10)
    const jobId = newId()
    await dreamer.accounts.hold(accountId, jobId, 4)
    await dreamer.accounts.idle()
    await writer.accounts.settle(accountId, jobId, 3)
    await writer.accounts.idle()
    const note = { by: 'u-admin', reason: 'a bad picture' }
    const entry = { accountId, entryId: `${jobId}:settle`, expiresMs: null, note }
    const answers = await Promise.all([
      dreamer.accounts.adjust({ ...entry, microCredits: 1 }),
      dreamer.accounts.settle(accountId, jobId, 4),
    ])
    expect(answers).toMatchObject([
      { kind: 'Adjusted' },
      { kind: 'Settled', chargedMicroCredits: 3 },
    ])
  })
})

describe('the relay of all accounts', () => {
  it('keeps up with a busy writer: nothing is lost, nothing is written twice', async () => {
    const [{ accounts }, { store, accounts: receiver }] = both()
    const accountId = await fund(10_000)
    const member = `member:d:${newId()}`
    const over = new AbortController()
    let longest = 0
    const relaying = (async () => {
      while (!over.signal.aborted) {
        await relayOutboxes({ store, receive: receiver.receive })
        longest = Math.max(longest, (await store.read(accountId)).outbox.length)
      }
    })()
    for (let round = 0; round < 20; round += 1) {
      const jobIds = Array.from({ length: 5 }, newId)
      await Promise.all(jobIds.map((id) => accounts.hold(accountId, id, 2)))
      await Promise.all(jobIds.map((id) => accounts.settle(accountId, id, 1)))
      await accounts.transfer(transfer(accountId, member, 3))
    }
    over.abort()
    await relaying
    await accounts.idle()
    expect(longest).toBeLessThan(60)
    expect(await chainOf(accountId)).toHaveLength(1 + 20 * 11)
    expect(await chainOf(member)).toHaveLength(20)
  })

  it('brings what a process sent that died before it arrived, once', async () => {
    const [{ store, accounts }, { accounts: other }] = both()
    const accountId = await fund(50)
    const members = [1, 2].map(() => `member:d:${newId()}`)
    const before = await store.read(accountId)
    const recipients = members.map((id) => ({ accountId: id, microCredits: 10 }))
    const request = { transferId: newId(), kind: 'Distribute', recipients } as const
    const sent = sendCredits(before.account, request, { nowMs: Date.now(), hash })
    if (sent.kind !== 'Moved') throw new Error('there is enough')
    await store.write([{ before, account: sent.account, outbox: [...before.outbox, sent.entry] }])
    await Promise.all([
      relayOutboxes({ store, receive: accounts.receive }),
      relayOutboxes({ store, receive: other.receive }),
      accounts.transfer({ ...request, accountId }),
    ])
    for (const id of members) {
      expect((await accounts.balanceOf(id)).availableMicroCredits).toBe(10)
      expect(await chainOf(id)).toHaveLength(1)
    }
    expect(await chainOf(accountId)).toHaveLength(2)
  })
})

/** As a fault of the disk or of a hand may leave it. */
async function poison(accountId: string): Promise<void> {
  const collection = replicas.database.native.collection<{ readonly _id: string }>('accounts')
  await collection.updateOne({ _id: accountId }, { $set: { 'totals.available': 999 } })
}
async function remove(accountId: string): Promise<void> {
  const collection = replicas.database.native.collection<{ readonly _id: string }>('accounts')
  await collection.deleteOne({ _id: accountId })
}

describe('an account that is not sound', () => {
  it('fails its own requests only, and changes nothing', async () => {
    const [{ accounts, store }] = both()
    const [bad, good] = [await fund(10), await fund(10)]
    await accounts.idle()
    await poison(bad)
    const fresh = replicas.all[2] ?? replicas.first
    const outcomes = await Promise.allSettled([
      fresh.accounts.hold(bad, newId(), 1),
      fresh.accounts.hold(good, newId(), 1),
      fresh.accounts.hold(bad, newId(), 1),
    ])
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'rejected'])
    await expect(store.read(bad)).rejects.toThrow('available differs')
    expect((await accounts.balanceOf(good)).heldMicroCredits).toBe(1)
    await remove(bad)
  })

  it('does not keep the relay from the others', async () => {
    const [{ accounts, store }] = both()
    const [bad, sender, good] = [await fund(1), await fund(10), await fund(10)]
    await accounts.idle()
    const late = `member:d:${newId()}`
    for (const [from, to] of [
      [sender, bad],
      [good, late],
    ] as const) {
      const before = await store.read(from)
      const recipients = [{ accountId: to, microCredits: 3 }]
      const request = { transferId: newId(), kind: 'Distribute', recipients } as const
      const sent = sendCredits(before.account, request, { nowMs: Date.now(), hash })
      if (sent.kind !== 'Moved') throw new Error('there is enough')
      await store.write([{ before, account: sent.account, outbox: [...before.outbox, sent.entry] }])
    }
    await poison(bad)
    const fresh = replicas.all[3] ?? replicas.first
    await relayOutboxes({ store, receive: fresh.accounts.receive }).catch(() => {})
    expect((await accounts.balanceOf(late)).availableMicroCredits).toBe(3)
    expect((await store.read(sender)).outbox).toHaveLength(1)
    await Promise.all([remove(bad), remove(sender)])
  })
})

describe('one id on two accounts', () => {
  it('is another issue or transfer, and never one that is said to be done', async () => {
    const [{ accounts }] = both()
    const [one, other] = [await fund(10), `member:d:${newId()}`]
    const issue = { issueId: newId(), microCredits: 5, expiresMs: null }
    await accounts.issue({ ...issue, accountId: one })
    await accounts.idle()
    await replicas.relay()
    const repeated = accounts.issue({ ...issue, accountId: other })
    await expect(repeated).rejects.toMatchObject({ code: 'idempotency.mismatch' })
    const moved = transfer(one, `member:d:${newId()}`, 2)
    await accounts.transfer(moved)
    await replicas.relay()
    const again = await accounts.transfer({ ...moved, accountId: await fund(10) })
    expect(again).toEqual({ kind: 'Mismatch' })
    const back = { transferId: newId(), accountId: one, to: null, microCreditsMax: 1 }
    expect(await accounts.recall(back)).toMatchObject({ kind: 'Moved', microCredits: 1 })
    await replicas.relay()
    const elsewhere = { ...back, accountId: await fund(10) }
    expect(await accounts.recall(elsewhere)).toEqual({ kind: 'Mismatch' })
  })
})
