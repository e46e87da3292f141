import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openAuditor } from '../../../src/api/tasks/audit/auditor.ts'
import { deleteObject } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import type { Account } from '../../../src/shared/domain/account.ts'
import { type Entry, entryHash } from '../../../src/shared/domain/account-entry.ts'
import {
  auditDepsFor,
  finishOne,
  kindsIn,
  liveThroughEverything,
  newId,
  relay,
  sendWithoutArriving,
} from './audit-scene.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { perImage } from './scene.ts'

let scene: InternalScene
let account: string
let member: string

beforeAll(async () => {
  scene = await openInternalScene()
  account = `department:${scene.department}`
  member = `member:${scene.department}:u-1`
  await scene.fund(100 * perImage, account)
  await liveThroughEverything(scene)
})
afterAll(async () => await scene.close())

afterEach(async () => {
  const left = await kinds()
  if (left.length > 0) throw new Error(`the test did not mend what it broke: ${left.join()}`)
})

const kinds = async () => await kindsIn(auditDepsFor(scene))

type Stored = { readonly _id: string } & Readonly<Record<string, unknown>>

function collection<T extends { readonly _id: string } = Stored>(name: string) {
  return scene.parts.database.native.collection<T>(name)
}

async function entryOf(id: string): Promise<Entry> {
  const entry = await collection<Entry>('entries').findOne({ _id: id })
  if (entry === null) throw new Error(`no entry ${id}`)
  return entry
}

/** A job whose entries lie in the collection. */
async function finishAndRelay() {
  const finished = await finishOne(scene)
  await relay(scene)
  return finished
}

describe('the audit', () => {
  it('finds nothing where everything has happened, before and after the relay', async () => {
    const unrelayed = await scene.parts.accountStore.findUnrelayed(10)
    expect(unrelayed.map(({ _id }) => _id)).toContain(account)
    expect(await kinds()).toEqual([])
    await relay(scene)
    expect(await scene.parts.accountStore.findUnrelayed(10)).toEqual([])
    const kindsSeen = await collection('entries').distinct('kind')
    expect(kindsSeen).toHaveLength(10)
  })

  it('says how much it looked at', async () => {
    const report = await openAuditor(auditDepsFor(scene)).full()
    expect(report).toMatchObject({ drift: 0, checked: { accounts: 3, rows: 3, resources: 3 } })
    expect(report.checked.entries).toBe(await collection('entries').countDocuments())
    expect(report.checked.artifacts).toBeGreaterThan(0)
  })

  it('sees no difference on an account that is written to all the time', async () => {
    const over = new AbortController()
    const spend = async () => {
      while (!over.signal.aborted) {
        const jobId = newId()
        await scene.parts.accounts.hold(account, jobId, 1)
        await scene.parts.accounts.void(account, jobId)
      }
    }
    const give = async () => {
      const recipients = [{ accountId: member, microCredits: 1 }]
      const wish = { kind: 'Distribute', accountId: account, recipients } as const
      while (!over.signal.aborted)
        await scene.parts.accounts.transfer({ ...wish, transferId: newId() })
    }
    const busy = Promise.all([spend(), spend(), give()])
    const reports = []
    for (let round = 0; round < 5; round += 1) reports.push(await kinds())
    over.abort()
    await busy
    expect(reports).toEqual([[], [], [], [], []])
  })
})

describe('one planted error of the ledger', () => {
  it('is a missing entry', async () => {
    const { id } = await finishAndRelay()
    const removed = await entryOf(`${id}:settle`)
    await collection('entries').deleteOne({ _id: removed._id })
    const { differences } = await openAuditor(auditDepsFor(scene)).full()
    const found = differences.map(({ kind, id: of }) => `${kind} ${of}`)
    expect(found.toSorted()).toEqual([`EntryMissing ${account}`, `EntryMissing ${id}`].toSorted())
    await collection<Entry>('entries').insertOne(removed)
  })

  it('is a hold that was settled twice', async () => {
    const { id } = await finishAndRelay()
    const { account: before } = await scene.parts.accountStore.read(account)
    const { hash: _hash, ...settled } = await entryOf(`${id}:settle`)
    const unsealed: Omit<Entry, 'hash'> = {
      ...settled,
      _id: `${id}:expire`,
      kind: 'Expire',
      seq: before.seq + 1,
      previousHash: before.chain,
    }
    const again = { ...unsealed, hash: entryHash(unsealed, scene.parts.hash) }
    await collection<Entry>('entries').insertOne(again)
    const accounts = collection<Account>('accounts')
    await accounts.updateOne({ _id: account }, { $set: { seq: again.seq, chain: again.hash } })
    expect(await openAuditor(auditDepsFor(scene)).full()).toMatchObject({
      drift: 1,
      differences: [{ kind: 'DoubleEnding', id }],
    })
    const { seq, chain } = before
    await accounts.updateOne({ _id: account }, { $set: { seq, chain } })
    // Beyond its account it is still one ending too many of this job.
    expect(await kinds()).toEqual(['DoubleEnding', 'EntryWithoutAccount'])
    await collection('entries').deleteOne({ _id: again._id })
  })

  it('is a hold without a row, and one whose job has ended', async () => {
    const stray = newId()
    await scene.parts.accounts.hold(account, stray, perImage)
    expect(await kinds()).toEqual(['OrphanHold'])
    await scene.parts.accounts.void(account, stray)
    const { id } = await scene.startJob()
    await scene.parts.store.change(id, {}, { state: 'Failed', hold: 'None' })
    expect(await kinds()).toEqual(['OrphanHold'])
    await scene.parts.accounts.void(account, id)
  })

  it('is a sum that somebody has edited', async () => {
    const accounts = collection<Account>('accounts')
    await accounts.updateOne({ _id: account }, { $inc: { 'totals.spent': 1 } })
    expect(await kinds()).toEqual(['WrongSum'])
    // Whoever wants to spend from it finds out as well.
    await expect(scene.parts.accounts.balanceOf(account)).rejects.toThrow('assertion failed')
    await accounts.updateOne({ _id: account }, { $inc: { 'totals.spent': -1 } })
  })

  it('is an entry that somebody has edited', async () => {
    const { id } = await finishAndRelay()
    const entries = collection<Entry>('entries')
    await entries.updateOne({ _id: `${id}:hold` }, { $inc: { timeMs: 1 } })
    expect(await kinds()).toEqual(['ChainBroken'])
    await entries.updateOne({ _id: `${id}:hold` }, { $inc: { timeMs: -1 } })
  })

  it('is a transfer that never arrived, or arrived from nobody', async () => {
    const microCredits = 6
    const sentId = await sendWithoutArriving(scene, { from: account, to: member, microCredits })
    expect(await kinds()).toEqual([])
    const { outbox } = await scene.parts.accountStore.read(account)
    await scene.parts.accountStore.insertEntries(outbox)
    await scene.parts.accountStore.dropFromOutboxes(new Map([[account, [sentId]]]))
    expect(await kinds()).toEqual(['TransferLost'])
    await scene.parts.accounts.receive(member, await entryOf(sentId))
    expect(await kinds()).toEqual([])
    await relay(scene)
    const before = await collection('accounts').findOne({ _id: member })
    const forged = { ...(await entryOf(sentId)), _id: `${newId()}:distribute` }
    await scene.parts.accounts.receive(member, forged)
    expect(await kinds()).toEqual(['ReceiptWithoutTransfer'])
    await relay(scene)
    const deps = auditDepsFor(scene)
    const auditStore = { ...deps.auditStore, waitingEntries: async () => null }
    // Whoever cannot know all that waits cannot say that nobody sent it.
    expect(await kindsIn({ ...deps, auditStore })).toEqual([])
    if (before !== null) await collection('accounts').replaceOne({ _id: member }, before)
    await collection('entries').deleteOne({ _id: `${forged._id}:${member}:receive` })
  })

  it('counts what waits, unless it is too much to count', async () => {
    const { waitingEntries } = auditDepsFor(scene).auditStore
    const waiting = Array.from({ length: 1001 }, (_none, index) => ({
      _id: `member:other:${index}`,
      outbox: [{ _id: `${index}` }],
    }))
    await collection('accounts').insertMany(waiting.slice(1))
    expect(await waitingEntries()).toHaveLength(1000)
    await collection('accounts').insertMany(waiting.slice(0, 1))
    expect(await waitingEntries()).toBeNull()
    await collection('accounts').deleteMany({ _id: /^member:other:/ })
  })
})

describe('one planted error of a job', () => {
  it('is a row whose hold is gone', async () => {
    const { id, job } = await scene.startJob()
    await scene.parts.accounts.void(account, id)
    expect(await kinds()).toEqual(['RowWithoutHold'])
    await collection('jobs').deleteOne({ _id: id })
    await deleteObject(scene.admin, generationJobs, job.metadata)
  })

  it('is a charge that differs between row and ledger', async () => {
    const { id } = await finishOne(scene)
    await scene.parts.store.change(id, {}, { chargedMicroCredits: 1 })
    expect(await kinds()).toEqual(['ChargeDiffers'])
    await scene.parts.store.change(id, {}, { chargedMicroCredits: perImage })
  })

  it('is a charge of another payer', async () => {
    const { id } = await finishAndRelay()
    const jobs = collection<{ _id: string; accountId: string }>('jobs')
    await jobs.updateOne({ _id: id }, { $set: { accountId: member } })
    expect(await kinds()).toEqual(['ChargeDiffers'])
    await jobs.updateOne({ _id: id }, { $set: { accountId: account } })
  })

  it('is a settlement without a row', async () => {
    const { id, job } = await finishOne(scene)
    const row = await collection('jobs').findOne({ _id: id })
    await deleteObject(scene.admin, generationJobs, job.metadata)
    await scene.parts.objects.delete(`artifacts/${id}/1/a.png`)
    await collection('jobs').deleteOne({ _id: id })
    expect(await kinds()).toEqual(['EntryWithoutRow'])
    if (row !== null) await collection('jobs').insertOne({ ...row, outputs: [] })
  })

  it('is an open job whose GenerationJob is gone', async () => {
    const { id, job } = await scene.startJob()
    await deleteObject(scene.admin, generationJobs, job.metadata)
    const missing = (missingTimeMs: number) => scene.parts.store.change(id, {}, { missingTimeMs })
    const nowMs = scene.clock.nowMs()
    const deps = { ...auditDepsFor(scene), clock: { nowMs: () => nowMs } }
    // Whoever deletes it cancels the job: the comparison notes it, and ends the job in its time.
    expect(await kindsIn(deps)).toEqual([])
    await missing(nowMs - 180_000)
    expect(await kindsIn(deps)).toEqual([])
    await missing(nowMs - 180_001)
    expect(await kindsIn(deps)).toEqual(['RowWithoutResource'])
    await scene.parts.accounts.void(account, id)
    await scene.parts.store.change(id, {}, { state: 'Cancelled', hold: 'Voided' })
  })

  it('is a GenerationJob without a row, once it has credits or ended a while ago', async () => {
    const deps = auditDepsFor(scene)
    const job = await scene.applyJob()
    const createdMs = Date.parse(job.metadata.creationTimestamp)
    const at = (nowMs: number) => ({ ...deps, clock: { nowMs: () => nowMs } })
    const time = { message: '', lastTransitionTime: job.metadata.creationTimestamp }
    const noModel = {
      ...time,
      type: 'ModelReady',
      status: 'False',
      reason: 'ModelNotFound',
    } as const
    const credits = { ...time, type: 'CreditsReserved', reason: 'x' } as const
    // Nobody asks for its hold until somebody makes the Model or its queue timeout ends it.
    await scene.setStatus(job, { conditions: [noModel, { ...credits, status: 'Unknown' }] })
    expect(await kindsIn(at(createdMs + 29 * 86_400_000))).toEqual([])
    const completionTime = new Date(createdMs + 10_000).toISOString()
    const failed = { ...time, type: 'Succeeded', status: 'False', reason: 'QueueTimeout' } as const
    const conditions = [noModel, { ...credits, status: 'False' } as const, failed]
    await scene.setStatus(job, { conditions, completionTime })
    expect(await kindsIn(at(createdMs + 70_000))).toEqual([])
    expect(await kindsIn(at(createdMs + 70_001))).toEqual(['ResourceWithoutRow'])
    const listed = (changed: Partial<GenerationJob>) => async () => [
      ...(await deps.listJobs()),
      { ...job, ...changed },
    ]
    const reserved = { conditions: [{ ...credits, status: 'True' } as const] }
    for (const changed of [
      { status: reserved },
      { spec: { ...job.spec, jobId: '01aryz6s410000000000000000' } },
    ]) {
      const found = await kindsIn({ ...at(createdMs), listJobs: listed(changed) })
      expect(found).toEqual(['ResourceWithoutRow'])
    }
    await deleteObject(scene.admin, generationJobs, job.metadata)
  })
})

describe('one planted error of an artifact', () => {
  const bytes = randomBytes(8)
  const facts = {
    sha256: '0'.repeat(64),
    sizeBytes: bytes.length,
    contentType: 'image/png',
  }

  it('is an output that is missing', async () => {
    const { id, key } = await finishOne(scene)
    await scene.parts.objects.delete(key)
    expect(await kinds()).toEqual(['OutputMissing'])
    await scene.parts.store.change(id, {}, { outputs: [] })
  })

  it('is a note of an upload, or bytes, of a job without a row', async () => {
    const jobId = '01aryz6s410000000000000001'
    const outputs = [{ ...facts, name: 'a.png' }]
    await scene.parts.attempts.announce({ jobId, attempt: 1 }, outputs)
    expect(await kinds()).toEqual(['ArtifactWithoutJob'])
    await collection('uploads').deleteOne({ _id: `artifacts/${jobId}/1/a.png` })
    const key = `artifacts/${jobId}/2/b.png`
    const { contentType } = facts
    await scene.parts.objects.add(Readable.from(bytes), {
      contentType,
      sizeBytesMax: 100,
      keyOf: () => key,
    })
    expect(await kinds()).toEqual(['ArtifactWithoutJob'])
    await scene.parts.objects.delete(key)
  })

  it('is a picture without its owner, and one without its bytes', async () => {
    const key = `uploads/${scene.department}/u-9/up-1`
    const { sha256, sizeBytes } = await scene.parts.objects.add(Readable.from(bytes), {
      contentType: facts.contentType,
      sizeBytesMax: 100,
      keyOf: () => key,
    })
    const owner = { department: scene.department, user: 'u-9' }
    const size = { width: 1, height: 1 }
    const picture = { ...facts, sha256, sizeBytes, _id: 'up-1', key, owner, size }
    await scene.parts.pictures.insert({ ...picture, creationTimeMs: 0 })
    expect(await kinds()).toEqual(['PictureWithoutOwner'])
    await collection('users').insertOne({ _id: 'u-9' })
    expect(await kinds()).toEqual([])
    await scene.parts.objects.delete(key)
    expect(await kinds()).toEqual(['PictureMissing'])
    await scene.parts.pictures.remove('up-1')
    await collection('users').deleteOne({ _id: 'u-9' })
  })
})
