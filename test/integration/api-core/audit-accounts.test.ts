import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openAuditor } from '../../../src/api/tasks/audit/auditor.ts'
import { auditDepsFor, counted, kindsIn, newId, relay, reset } from './audit-scene.ts'
import { openScene, perImage, type Scene } from './scene.ts'

let scene: Scene
let account: string

type Stored = { readonly _id: string; readonly seq: number }

beforeAll(async () => {
  scene = await openScene()
})
afterAll(async () => await scene.close())

afterEach(async () => {
  const left = await kindsIn(auditDepsFor(scene))
  if (left.length > 0) throw new Error(`the test did not mend what it broke: ${left.join()}`)
})

const collection = (name: string) => scene.parts.database.native.collection<Stored>(name)

const stored = async () => {
  const found = await collection('accounts').findOne({ _id: account })
  if (found === null) throw new Error('no account')
  return found
}

async function holdAndVoid() {
  const jobId = newId()
  await scene.parts.accounts.hold(account, jobId, 1)
  await scene.parts.accounts.void(account, jobId)
  await relay(scene)
  return jobId
}

/** An account of its own with three entries; what it was after the first. */
async function openAccount() {
  account = `member:${scene.department}:${newId()}`
  await scene.fund(perImage, account)
  await relay(scene)
  const first = await stored()
  await holdAndVoid()
  return { first, newest: await stored() }
}

const put = async (document: Stored) =>
  await collection('accounts').replaceOne({ _id: account }, document, { upsert: true })

const beyond = (end: string) => ({
  drift: 1,
  differences: [
    { kind: 'EntryWithoutAccount', id: account, message: `its entries go on to 3, ${end}` },
  ],
})

describe('the audit of an account that was tampered with', () => {
  it('tells that it is gone, and that another one began in its place', async () => {
    const { newest } = await openAccount()
    const auditor = openAuditor(auditDepsFor(scene))
    await auditor.full()
    await collection('accounts').deleteOne({ _id: account })
    for (const report of [await auditor.changes(), await auditor.full(), await auditor.changes()])
      expect(report).toMatchObject(beyond('there is no account'))
    await scene.fund(perImage, account)
    await relay(scene)
    for (const report of [await auditor.changes(), await auditor.full(), await auditor.changes()])
      expect(report).toMatchObject(beyond('the account ends at 1'))
    const issues = await collection('entries').find({ accountId: account, seq: 1 }).toArray()
    await collection('entries').deleteOne({ _id: issues.at(-1)?._id ?? '' })
    await put(newest)
    expect(await auditor.changes()).toMatchObject({ drift: 0 })
  })

  it('tells that an earlier state of it was put back', async () => {
    const { first, newest } = await openAccount()
    const auditor = openAuditor(auditDepsFor(scene))
    await auditor.full()
    await put(first)
    for (const report of [await auditor.changes(), await auditor.full(), await auditor.changes()])
      expect(report).toMatchObject(beyond('the account ends at 1'))
    await put(newest)
    expect(await auditor.changes()).toMatchObject({ drift: 0 })
  })

  it('tells it also of one that was written to since', async () => {
    const { first, newest } = await openAccount()
    const auditor = openAuditor(auditDepsFor(scene))
    await auditor.full()
    await put(first)
    const jobIds = [await holdAndVoid(), await holdAndVoid()]
    expect(await auditor.changes()).toMatchObject({ differences: [{ kind: 'ChainBroken' }] })
    const ids = jobIds.flatMap((jobId) => [`${jobId}:hold`, `${jobId}:void`])
    await collection('entries').deleteMany({ _id: { $in: ids } })
    await put(newest)
    expect(await auditor.changes()).toMatchObject({ drift: 0 })
  })
})

describe('the audit of an account with an old error', () => {
  it('does not read its history again, and sees when it is mended', async () => {
    await openAccount()
    for (let round = 0; round < 5; round += 1) await holdAndVoid()
    const { deps, counts } = counted(auditDepsFor(scene))
    const auditor = openAuditor(deps)
    const entries = collection('entries')
    await entries.updateOne({ accountId: account, seq: 3 }, { $inc: { timeMs: 1 } })
    const broken = { drift: 1, differences: [{ kind: 'ChainBroken' }] }
    expect(await auditor.full()).toMatchObject(broken)
    reset(counts)
    expect(await auditor.changes()).toMatchObject(broken)
    // The wrong one and the one before it, by each of four looks.
    expect(counts.entries).toBe(8)
    await holdAndVoid()
    reset(counts)
    expect(await auditor.changes()).toMatchObject(broken)
    expect(counts.entries).toBe(10)
    await entries.updateOne({ accountId: account, seq: 3 }, { $inc: { timeMs: -1 } })
    expect(await auditor.changes()).toMatchObject({ drift: 0 })
  })

  it('sees that an entry that was missing is there again, wherever it was missing', async () => {
    await openAccount()
    const auditor = openAuditor(auditDepsFor(scene))
    for (const seq of [1, 2, 3]) {
      const entry = await collection('entries').findOne({ accountId: account, seq })
      if (entry === null) throw new Error('no entry')
      await collection('entries').deleteOne({ _id: entry._id })
      const missing = { drift: 1, differences: [{ kind: 'EntryMissing', id: account }] }
      expect(await auditor.full()).toMatchObject(missing)
      expect(await auditor.changes()).toMatchObject(missing)
      await collection('entries').insertOne(entry)
      expect(await auditor.changes()).toMatchObject({ drift: 0 })
    }
  })
})
