import { createHash, randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type {
  AccountSnapshot,
  AccountStore,
  AccountWrite,
} from '../../../src/api/features/accounts/store.ts'
import { emptyAccount } from '../../../src/shared/domain/account.ts'
import { issueCredits } from '../../../src/shared/domain/account-movement.ts'

const hash = (text: string) => createHash('sha256').update(text).digest('hex')
const newId = () => randomBytes(8).toString('hex')

function fresh(accountId = `member:${newId()}:a`): AccountSnapshot {
  return { account: emptyAccount(accountId), outbox: [], isNew: true }
}

/** One issue more, in the outbox. */
function issuing(before: AccountSnapshot, issueId = newId(), nowMs = 1): AccountWrite {
  const issue = { issueId, microCredits: 5, expiresMs: null }
  const change = issueCredits(before.account, issue, { nowMs, hash })
  if (change === null) throw new Error('the account takes one more lot')
  return { before, account: change.account, outbox: [...before.outbox, change.entry] }
}

/** What every AccountStore does; run on the real one and on the fake. */
export function accountStoreContract(name: string, open: () => Promise<AccountStore>): void {
  describe(`${name}: an account store`, () => {
    let store: AccountStore
    beforeAll(async () => {
      store = await open()
    })

    /** Accounts with one entry each in their outboxes. */
    async function stored(...ids: readonly string[]): Promise<readonly AccountSnapshot[]> {
      const writes = ids.map((id) => issuing(fresh(id)))
      expect(await store.write(writes)).toEqual(new Set(ids))
      return [...(await store.readMany(ids)).values()]
    }

    it('reads an account that is not there as an empty one', async () => {
      const id = `member:d:${newId()}`
      expect(await store.read(id)).toEqual(fresh(id))
      expect(await store.readMany([id])).toEqual(new Map([[id, fresh(id)]]))
      expect(await store.readMany([])).toEqual(new Map())
    })

    it('gives back what was written', async () => {
      const write = issuing(fresh())
      expect(await store.write([write])).toEqual(new Set([write.account._id]))
      const expected = { account: write.account, outbox: write.outbox, isNew: false }
      expect(await store.read(write.account._id)).toEqual(expected)
    })

    it('writes only upon what was read: of two writers one wins', async () => {
      const [before = fresh()] = await stored(`member:d:${newId()}`)
      const writes = [issuing(before), issuing(before)]
      const written = await Promise.all(writes.map(async (one) => await store.write([one])))
      expect(written.map(({ size }) => size).toSorted((a, b) => a - b)).toEqual([0, 1])
      const winner = writes[written.findIndex(({ size }) => size === 1)]
      expect((await store.read(before.account._id)).account).toEqual(winner?.account)
    })

    it('creates an account once: of two writers one wins', async () => {
      const before = fresh()
      const writes = [issuing(before), issuing(before)]
      const written = await Promise.all(writes.map(async (one) => await store.write([one])))
      expect(written.map(({ size }) => size).toSorted((a, b) => a - b)).toEqual([0, 1])
    })

    it('writes every one of many by itself, and says which', async () => {
      const [one = fresh(), other = fresh()] = await stored(`member:d:${newId()}`, newId())
      const taken = issuing(fresh())
      await store.write([issuing(one), taken])
      const added = issuing(fresh())
      const again = issuing(taken.before)
      const written = await store.write([issuing(one), issuing(other), added, again])
      expect(written).toEqual(new Set([other.account._id, added.account._id]))
      expect((await store.read(one.account._id)).account.seq).toBe(2)
      expect((await store.read(taken.account._id)).account).toEqual(taken.account)
    })

    it('does not write upon another past with the same number', async () => {
      const [before = fresh()] = await stored(`member:d:${newId()}`)
      const another = { ...before, account: { ...before.account, chain: hash('another past') } }
      expect(await store.write([issuing(another)])).toEqual(new Set())
      expect(await store.read(before.account._id)).toEqual(before)
    })

    it('refuses to write an account that is not sound, and writes none beside it', async () => {
      const [sound, broken] = [issuing(fresh()), issuing(fresh())]
      const totals = { ...broken.account.totals, available: -1 }
      const writes = [sound, { ...broken, account: { ...broken.account, totals } }]
      await expect(store.write(writes)).rejects.toThrow('a total is negative')
      expect(await store.read(sound.account._id)).toMatchObject({ isNew: true })
    })

    it('finds entries in outboxes and in the collection, and no others', async () => {
      const [one = fresh(), other = fresh()] = await stored(newId(), newId())
      await store.insertEntries(one.outbox)
      await store.dropFromOutboxes(new Map([[one.account._id, one.outbox.map(({ _id }) => _id)]]))
      const entries = [...one.outbox, ...other.outbox]
      const asked = [...entries.map(({ _id }) => _id), 'nothing:issue']
      const now = [await store.read(one.account._id), await store.read(other.account._id)]
      const found = await store.findEntries(now, asked)
      expect(found).toEqual(new Map(entries.map((entry) => [entry._id, entry])))
      expect(await store.findEntries(now, [])).toEqual(new Map())
    })

    it('inserts entries again, but never one under the id of another', async () => {
      const { outbox } = issuing(fresh())
      expect(await store.insertEntries([])).toBe(true)
      expect(await store.insertEntries(outbox)).toBe(true)
      expect(await store.insertEntries([...outbox, ...issuing(fresh()).outbox])).toBe(true)
      expect(await store.insertEntries(outbox.map((one) => ({ ...one, hash: 'x' })))).toBe(false)
      const [entry] = outbox
      expect(await store.entriesOf(entry?.accountId ?? '', 0)).toEqual(outbox)
    })

    it('lists those first whose entries have waited longest', async () => {
      const [late, early] = [issuing(fresh(), newId(), -1), issuing(fresh(), newId(), -2)]
      await store.write([late, early])
      const [first, second] = await store.findUnrelayed(2)
      expect([first?._id, second?._id]).toEqual([early.account._id, late.account._id])
      const relayed = [late, early].map(({ account, outbox }) => {
        return [account._id, outbox.map(({ _id }) => _id)] as const
      })
      await store.dropFromOutboxes(new Map(relayed))
    })

    it('lists accounts with an outbox, until what was relayed is dropped', async () => {
      const [one = fresh()] = await stored(newId())
      const ids = async () => (await store.findUnrelayed(1000)).map(({ _id }) => _id)
      expect(await ids()).toContain(one.account._id)
      expect(await store.findUnrelayed(1)).toHaveLength(1)
      await store.dropFromOutboxes(new Map([[one.account._id, ['another:issue']]]))
      expect(await ids()).toContain(one.account._id)
      const relayed = new Map([[one.account._id, one.outbox.map(({ _id }) => _id)]])
      await store.dropFromOutboxes(relayed)
      await store.dropFromOutboxes(relayed)
      expect(await ids()).not.toContain(one.account._id)
      await store.dropFromOutboxes(new Map([['member:d:nobody', ['x']]]))
      expect(await store.read('member:d:nobody')).toMatchObject({ isNew: true })
    })

    it('keeps what a writer added while an older entry was dropped', async () => {
      const [one = fresh()] = await stored(newId())
      const next = issuing(one)
      await store.write([next])
      const relayed = new Map([[one.account._id, one.outbox.map(({ _id }) => _id)]])
      await store.dropFromOutboxes(relayed)
      const { outbox, account } = await store.read(one.account._id)
      expect(outbox).toEqual(next.outbox.slice(1))
      expect(account).toEqual(next.account)
    })

    it('pages the accounts of a department and of no other with a name like it', async () => {
      const department = `a${newId()}`
      const own = [`department:${department}`, `member:${department}:x`, `member:${department}:y`]
      const others = [
        `department:${department}b`,
        `member:${department}b:x`,
        `member:${department}`,
      ]
      await stored(...own, ...others)
      const page = async (afterId: string, limit: number) =>
        (await store.pageOfDepartment(department, { afterId, limit })).map(({ _id }) => _id)
      expect(await page('', 10)).toEqual(own)
      expect(await page('', 2)).toEqual(own.slice(0, 2))
      expect(await page(own[1] ?? '', 2)).toEqual(own.slice(2))
      expect(await page(own[2] ?? '', 2)).toEqual([])
    })

    it('pages all accounts in order of their ids', async () => {
      const ids = [1, 2, 3].map((index) => `zz${newId()}:${index}`).toSorted()
      await stored(...ids)
      const first = await store.page(ids[0] ?? '', 1)
      expect(first.map(({ _id }) => _id)).toEqual([ids[1]])
      expect((await store.page(ids[1] ?? '', 10)).map(({ _id }) => _id)).toEqual([ids[2]])
    })

    it('pages the entries of one account, forwards and backwards', async () => {
      let write = issuing(fresh())
      for (let count = 1; count < 4; count += 1) {
        write = issuing({ account: write.account, outbox: write.outbox, isNew: false })
      }
      const [id, entries] = [write.account._id, write.outbox]
      await store.insertEntries(entries.toReversed())
      expect(await store.entriesOf(id, 0)).toEqual(entries)
      expect(await store.entriesOf(id, 2)).toEqual(entries.slice(2))
      const before = await store.entriesBefore(id, { beforeSeq: 4, limit: 2 })
      expect(before).toEqual([entries[2], entries[1]])
      expect(await store.entriesBefore(id, { beforeSeq: 1, limit: 2 })).toEqual([])
      const ofKind = async (kind: 'Issue' | 'Hold') =>
        await store.entriesBefore(id, { beforeSeq: 3, limit: 9, kind })
      expect(await ofKind('Issue')).toEqual([entries[1], entries[0]])
      expect(await ofKind('Hold')).toEqual([])
    })
  })
}
