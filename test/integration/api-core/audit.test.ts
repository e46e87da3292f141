import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { relayOutboxes } from '../../../src/api/features/accounts/relay.ts'
import { projectJob } from '../../../src/api/features/jobs/project.ts'
import { audit } from '../../../src/api/tasks/audit.ts'
import { deleteObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import type { Entry } from '../../../src/shared/domain/account-entry.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { perImage } from './scene.ts'

let scene: InternalScene
let account: string

beforeAll(async () => {
  scene = await openInternalScene()
  account = `department:${scene.department}`
  await scene.fund(100 * perImage, account)
})
afterAll(async () => await scene.close())

const lastTransitionTime = '2026-11-21T14:00:00Z'

async function finishOne() {
  const { job, id } = await scene.startJob()
  const bytes = randomBytes(64)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const facts = { sha256, sizeBytes: 64, contentType: 'image/png' }
  const key = `artifacts/${id}/1/a.png`
  await scene.parts.objects.put(key, Readable.from(bytes), facts)
  const patched = await scene.setStatus(job, {
    conditions: [
      { type: 'Succeeded', status: 'True', reason: 'Completed', message: '', lastTransitionTime },
    ],
    outputs: [{ ...facts, name: 'a.png', key }],
  })
  await projectJob(scene.parts, patched, scene.clock.nowMs())
  return { id, key, job }
}

/** Departments have a test of their own. */
const departmentSides = {
  departmentStore: { page: async () => [] },
  listDepartments: async () => [],
}

/** Of this scene only: other tests may share the API server. */
async function kinds() {
  const listJobs = async () =>
    await listObjects(scene.admin, generationJobs, { namespace: scene.kubectlNamespace })
  const { differences, drift } = await audit({ ...scene.parts, ...departmentSides, listJobs })
  expect(drift).toBe(differences.length)
  return differences.map(({ kind }) => kind).toSorted()
}

function collection(name: string) {
  return scene.parts.database.native.collection<{ _id: string }>(name)
}

describe('the audit', () => {
  it('finds nothing when everything agrees, before and after the relay', async () => {
    await finishOne()
    await scene.startJob()
    expect(await kinds()).toEqual([])
    await relayOutboxes(scene.parts.accountStore)
    expect(await scene.parts.accountStore.findUnrelayed(10)).toEqual([])
    expect(await kinds()).toEqual([])
  })

  it('finds a row whose hold is gone, and a hold whose row is', async () => {
    const { id } = await scene.startJob()
    await scene.parts.accounts.void(account, id)
    expect(await kinds()).toEqual(['RowWithoutHold'])
    await collection('jobs').deleteOne({ _id: id })
    expect(await kinds()).toEqual([])
    const stray = randomBytes(13).toString('hex')
    await scene.parts.accounts.hold(account, stray, perImage)
    expect(await kinds()).toEqual(['HoldWithoutRow'])
    await scene.parts.accounts.void(account, stray)
    expect(await kinds()).toEqual([])
  })

  it('finds a hold that outlived its job', async () => {
    const { id } = await scene.startJob()
    await scene.parts.store.change(id, {}, { state: 'Failed', hold: 'None' })
    expect(await kinds()).toEqual(['HoldWithoutRow'])
    await scene.parts.accounts.void(account, id)
    expect(await kinds()).toEqual([])
  })

  it('finds an output that is missing', async () => {
    const { id, key } = await finishOne()
    await scene.parts.objects.delete(key)
    expect(await kinds()).toEqual(['OutputMissing'])
    await scene.parts.store.change(id, {}, { outputs: [] })
    expect(await kinds()).toEqual([])
  })

  it('finds a charge that differs between row and ledger', async () => {
    const { id } = await finishOne()
    await scene.parts.store.change(id, {}, { chargedMicroCredits: 1 })
    expect(await kinds()).toEqual(['ChargeDiffers'])
    await scene.parts.store.change(id, {}, { chargedMicroCredits: perImage })
  })

  it('finds a row without its resource and a resource without its row', async () => {
    const { id, job } = await scene.startJob()
    await deleteObject(scene.admin, generationJobs, job.metadata)
    expect(await kinds()).toEqual(['RowWithoutResource'])
    await scene.parts.accounts.void(account, id)
    await scene.parts.store.change(id, {}, { state: 'Cancelled', hold: 'Voided' })
    expect(await kinds()).toEqual([])
    const spec = { ...job.spec, jobId: '01aryz6s410000000000000000' }
    const listJobs = async () => [{ ...job, spec }]
    const { differences } = await audit({ ...scene.parts, ...departmentSides, listJobs })
    expect(differences).toContainEqual(expect.objectContaining({ kind: 'ResourceWithoutRow' }))
  })
})

describe('the audit of the ledger', () => {
  it('finds an entry that is missing', async () => {
    const { id } = await finishOne()
    await relayOutboxes(scene.parts.accountStore)
    const removed = await collection('entries').findOne({ _id: `${id}:settle` })
    await collection('entries').deleteOne({ _id: `${id}:settle` })
    expect(await kinds()).toEqual(
      expect.arrayContaining(['AccountUnsound', 'ChainBroken', 'ChargeDiffers', 'EntryMissing']),
    )
    if (removed !== null) await collection('entries').insertOne(removed)
    expect(await kinds()).toEqual([])
  })

  it('finds a double charge', async () => {
    const { id } = await finishOne()
    await relayOutboxes(scene.parts.accountStore)
    const entries = scene.parts.database.native.collection<Entry>('entries')
    const settled = await entries.findOne({ _id: `${id}:settle` })
    if (settled === null) throw new Error('the settlement is in the ledger')
    const seq = settled.seq + 1000
    await entries.insertOne({ ...settled, _id: `${id}:expire`, kind: 'Expire', seq })
    expect(await kinds()).toEqual(expect.arrayContaining(['ChargeDiffers', 'DoubleCharge']))
    await entries.deleteOne({ _id: `${id}:expire` })
    expect(await kinds()).toEqual([])
  })

  it('finds an entry that somebody has edited', async () => {
    const { id } = await finishOne()
    await relayOutboxes(scene.parts.accountStore)
    const entries = scene.parts.database.native.collection<Entry>('entries')
    await entries.updateOne({ _id: `${id}:hold` }, { $inc: { timeMs: 1 } })
    expect(await kinds()).toEqual(['ChainBroken'])
    await entries.updateOne({ _id: `${id}:hold` }, { $inc: { timeMs: -1 } })
    expect(await kinds()).toEqual([])
  })

  it('finds totals that somebody has edited', async () => {
    const accounts = scene.parts.database.native.collection<{ _id: string }>('accounts')
    await accounts.updateOne({ _id: account }, { $inc: { 'totals.spent': 1 } })
    expect(await kinds()).toEqual(expect.arrayContaining(['AccountUnsound']))
    // Whoever wants to spend from it finds out as well.
    await expect(scene.parts.accounts.balanceOf(account)).rejects.toThrow('assertion failed')
    await accounts.updateOne({ _id: account }, { $inc: { 'totals.spent': -1 } })
    expect(await kinds()).toEqual([])
  })
})
