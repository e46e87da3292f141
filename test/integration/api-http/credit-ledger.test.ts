import { buffer } from 'node:stream/consumers'
import { parse } from 'csv-parse/sync'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { exportEntries } from '../../../src/api/features/accounts/entry-list.ts'
import { openLedgerReader } from '../../../src/api/features/accounts/ledger-reader.ts'
import { openAccountStore } from '../../../src/api/features/accounts/store.ts'
import { openJobStore } from '../../../src/api/features/jobs/store.ts'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { accountIdOf } from '../../../src/shared/domain/caller.ts'
import type { EntryView } from '../../../src/shared/wire/ledger.ts'
import { type CreditScene, newKey, openCreditScene, sumCredits } from './credit-scene.ts'

let scene: CreditScene
beforeAll(async () => {
  scene = await openCreditScene()
})
afterAll(async () => {
  await scene.close()
})

const whose = (user: string) => ({ department: scene.quality, user })
const issue = async (user: string, changes: object = {}) => {
  const response = await scene.post('root', 'issues', { ...whose(user), credits: '1', ...changes })
  expect(response.statusCode).toBe(201)
}
/** Entries without end: a hold and its void, so often. */
const churn = async (user: string, times: number) => {
  const { accounts } = scene.api.core
  const id = accountIdOf(whose(user))
  const one = async () => {
    const jobId = newKey()
    await accounts.hold(id, jobId, 1)
    await accounts.void(id, jobId)
  }
  await Promise.all(Array.from({ length: times }, one))
}

describe('the ledger of an account', () => {
  test('says what a job cost, with the job', async () => {
    const user = scene.idOf('mina')
    const jobId = await scene.api.submit('mina')
    await scene.api.core.accounts.settle(accountIdOf(whose(user)), jobId, 500_000)
    const { items } = await scene.entries('mina', { limit: '2' })
    const { model } = scene.api.surroundings
    const job = { id: jobId, task: 'TextToImage', model, url: `/v1/jobs/${jobId}` }
    expect(items).toMatchObject([
      { id: `${jobId}:settle`, kind: 'Settle', credits: '-0.5', held: '-1.5', by: null, job },
      { id: `${jobId}:hold`, kind: 'Hold', credits: '0', held: '1.5', by: null, job },
    ])
    expect(items[0]?.lots).toMatchObject([{ credits: '1.5', expiresTime: null }])
  })

  test('says who gave and why, on both sides', async () => {
    await scene.fund('5')
    const user = await scene.hire()
    const { quality: department } = scene
    const members = [{ user, credits: '2' }]
    await scene.post('lead', 'distributions', { department, members, reason: 'for the fair' })
    await scene.post('lead', 'revocations', { department, user, credits: '0.5' })
    const { items } = await scene.entries('lead', whose(user))
    const by = { id: scene.idOf('lead'), name: 'lead' }
    expect(items).toMatchObject([
      { kind: 'Revoke', credits: '-0.5', held: '0', reason: null, by, job: null },
      { kind: 'Receive', credits: '2', held: '0', reason: 'for the fair', by, job: null },
    ])
    const own = await scene.entries('lead', { department, limit: '2' })
    expect(own.items).toMatchObject([
      { kind: 'Receive', credits: '0.5' },
      { kind: 'Distribute', credits: '-2', reason: 'for the fair' },
    ])
    const account = await scene.account('lead', whose(user))
    expect(sumCredits(items)).toBe(Math.round(Number(account.available) * 1e6))
  })

  test('has what was written just before, every time', async () => {
    const user = await scene.hire()
    for (let count = 1; count <= 20; count += 1) {
      await issue(user)
      const { items } = await scene.entries('lead', whose(user))
      expect(items[0]).toMatchObject({ kind: 'Issue', seq: count })
      expect(items).toHaveLength(Math.min(count, 20))
    }
  })

  test('has neither gaps nor doubles while it grows', async () => {
    const user = await scene.hire()
    await issue(user)
    await churn(user, 30)
    const reading = new AbortController()
    const growing = (async () => {
      while (!reading.signal.aborted) await churn(user, 2)
    })()
    for (let round = 0; round < 3; round += 1) {
      const seen: EntryView[] = []
      let query: Record<string, string> = { ...whose(user), limit: '11' }
      for (let next: string | null = ''; next !== null;) {
        const page = await scene.entries('lead', query)
        seen.push(...page.items)
        next = page.next
        if (next !== null) query = { ...query, cursor: next }
      }
      const newest = seen[0]?.seq ?? 0
      expect(newest).toBeGreaterThanOrEqual(61)
      expect(seen.map(({ seq }) => seq)).toEqual(seen.map((_, index) => newest - index))
      expect(seen).toHaveLength(newest)
    }
    reading.abort()
    await growing
  })

  test('shows one kind when asked to, over pages', async () => {
    const user = await scene.hire()
    await issue(user)
    await churn(user, 12)
    const first = await scene.entries('lead', { ...whose(user), kind: 'Void', limit: '8' })
    const cursor = first.next ?? ''
    const second = await scene.entries('lead', { ...whose(user), kind: 'Void', limit: '8', cursor })
    const all = [...first.items, ...second.items]
    expect([all.length, second.next]).toEqual([12, null])
    expect(new Set(all.map(({ kind }) => kind))).toEqual(new Set(['Void']))
  })
})

describe('its export', () => {
  const csvShape = z.array(z.record(z.string(), z.string()))
  const rowsOf = (file: Buffer) => csvShape.parse(parse(file, { bom: true, columns: true }))

  test('is a CSV file of the same entries, with no formula in it and plain numbers', async () => {
    const user = await scene.hire()
    await issue(user, { reason: '=HYPERLINK("http://x")' })
    await issue(user, { reason: '-1+1' })
    const { quality: department } = scene
    await scene.post('root', 'revocations', {
      department,
      user,
      credits: '0.25',
      reason: '@a, "b"',
    })
    const response = await scene.get('lead', 'entries/export', whose(user))
    expect(response.headers).toMatchObject({
      'content-type': 'text/csv; charset=utf-8; header=present',
      'content-disposition': 'attachment; filename="atelier-ledger.csv"',
    })
    const rows = rowsOf(response.rawPayload)
    const { items } = await scene.entries('lead', whose(user))
    expect(rows.map(({ id, seq, hash, time, lots }) => ({ id, seq, hash, time, lots }))).toEqual(
      items.map(({ id, seq, hash, time, lots }) => {
        return { id, seq: String(seq), hash, time, lots: JSON.stringify(lots) }
      }),
    )
    expect(rows.map(({ credits, held, reason }) => [credits, held, reason])).toEqual([
      ['-0.25', '0', `'@a, "b"`],
      ['1', '0', "'-1+1"],
      ['1', '0', `'=HYPERLINK("http://x")`],
    ])
    expect(rows[0]).toMatchObject({ byId: scene.idOf('root'), byName: 'root', ...whose(user) })
    const issues = await scene.get('lead', 'entries/export', { ...whose(user), kind: 'Issue' })
    expect(rowsOf(issues.rawPayload)).toHaveLength(2)
  })

  test('reads more than one page of the database, and says so when there is too much', async () => {
    const user = await scene.hire()
    await issue(user)
    await churn(user, 260)
    const rows = rowsOf((await scene.get('lead', 'entries/export', whose(user))).rawPayload)
    expect(rows.map(({ seq }) => Number(seq))).toEqual(rows.map((_, index) => 521 - index))
    const { core } = scene.api
    const parts = {
      ...core.people,
      accountStore: openAccountStore(core.database),
      ledger: openLedgerReader(core.database),
      jobStore: openJobStore(core.database, systemClock),
    }
    const caller = { userId: 'u-root', role: 'super_admin', department: 'any' } as const
    for (const exportRowsMax of [3, 500, 520]) {
      const cut = await exportEntries({ ...parts, exportRowsMax }, caller, whose(user))
      const lines = rowsOf(await buffer(cut))
      expect(lines).toHaveLength(exportRowsMax + 1)
      const before = 521 - exportRowsMax + 1
      expect(lines.at(-1)).toMatchObject({ id: '', time: expect.stringContaining(`=${before}`) })
      const rest = await scene.get('lead', 'entries/export', {
        ...whose(user),
        before: `${before}`,
      })
      expect(rowsOf(rest.rawPayload)[0]?.['seq']).toBe(String(before - 1))
    }
    const whole = await exportEntries({ ...parts, exportRowsMax: 521 }, caller, whose(user))
    expect(rowsOf(await buffer(whole))).toHaveLength(521)
  })
})
