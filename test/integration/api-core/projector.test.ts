import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { projectJob } from '../../../src/api/features/jobs/project.ts'
import { compareOnce, missingForMs } from '../../../src/api/tasks/compare.ts'
import { deleteObject, getObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import type { Condition } from '../../../src/shared/crd/common.ts'
import type { GenerationJob, Output } from '../../../src/shared/crd/generation-job.ts'
import type { Report } from '../../../src/shared/wire/internal.ts'
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

const time = '2026-11-21T14:00:00Z'

function condition(type: string, status: Condition['status'], reason: string): Condition {
  return { type, status, reason, message: `${reason}.`, lastTransitionTime: time }
}

/** Writes the conditions, reads the object as the API server has it and projects it. */
async function project(job: GenerationJob, conditions: Condition[], outputs?: Output[]) {
  const patched = await scene.setStatus(job, {
    conditions,
    startTime: time,
    ...(outputs === undefined ? {} : { outputs, completionTime: time }),
  })
  await projectJob(scene.parts, patched, scene.clock.nowMs())
  return await scene.parts.store.get(job.metadata.uid)
}

async function store(jobId: string, name: string): Promise<Output> {
  const bytes = randomBytes(64)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const facts = { sha256, sizeBytes: 64, contentType: 'image/png' }
  const key = `artifacts/${jobId}/1/${name}`
  await scene.parts.objects.put(key, Readable.from(bytes), facts)
  return { ...facts, name, key }
}

async function spent() {
  return (await scene.parts.accounts.balanceOf(account)).spentMicroCredits
}

const completed = [condition('Succeeded', 'True', 'Completed')]

describe('a custom resource', () => {
  it('is shown as it is, and only a difference is a new revision', async () => {
    const { job, id, podUID } = await scene.startJob()
    const conditions = [condition('PodsReady', 'True', 'Running')]
    const row = await project(job, conditions)
    expect(row).toMatchObject({
      state: 'Running',
      reason: 'Running',
      message: 'Running.',
      attempt: { number: 1, podUID },
      startTimeMs: Date.parse(time),
    })
    expect(scene.published.at(-1)).toEqual({ jobId: id, revision: row?.revision })
    const again = await project(job, conditions)
    expect(again?.revision).toBe(row?.revision)
  })

  it('that completed is settled for what was delivered, once', async () => {
    const { job, id } = await scene.startJob({ batchCount: 3 })
    const before = await spent()
    const outputs = [await store(id, 'a.png'), await store(id, 'b.png'), await store(id, 'c.png')]
    const ended = await scene.setStatus(job, {
      conditions: completed,
      outputs,
      completionTime: time,
    })
    const again = async () => await projectJob(scene.parts, ended, scene.clock.nowMs())
    await Promise.all([again(), again(), again()])
    await again()
    expect(await scene.parts.store.get(id)).toMatchObject({
      state: 'Completed',
      hold: 'Settled',
      chargedMicroCredits: 3 * perImage,
      completionTimeMs: Date.parse(time),
      outputs,
    })
    expect(await spent()).toBe(before + 3 * perImage)
  })

  it('is not charged for outputs that are missing, different or not its own', async () => {
    const { job, id } = await scene.startJob({ batchCount: 4 })
    const before = await spent()
    const good = await store(id, 'good.png')
    const foreign = await store('01aryz6s410000000000000000', 'x.png')
    const missing = { ...good, key: `artifacts/${id}/1/missing.png` }
    const different = { ...(await store(id, 'other.png')), sha256: 'a'.repeat(64) }
    const row = await project(job, completed, [good, good, missing, different, foreign])
    expect(row).toMatchObject({ state: 'Completed', outputs: [good] })
    expect(await spent()).toBe(before + perImage)
  })

  it('that was cancelled pays for what it delivered, and nothing is voided without', async () => {
    const cancelled = [condition('Succeeded', 'False', 'Cancelled')]
    const partly = await scene.startJob({ batchCount: 2 })
    const before = await spent()
    const output = await store(partly.id, 'a.png')
    const row = await project(partly.job, cancelled, [output])
    expect(row).toMatchObject({ state: 'Cancelled', chargedMicroCredits: perImage })
    const empty = await scene.startJob({ batchCount: 2 })
    expect(await project(empty.job, cancelled, [])).toMatchObject({
      state: 'Cancelled',
      hold: 'Voided',
      chargedMicroCredits: 0,
    })
    expect(await spent()).toBe(before + perImage)
  })

  it('cannot change a row that has ended', async () => {
    const { job, id } = await scene.startJob()
    await project(job, [condition('Succeeded', 'False', 'DeadlineExceeded')])
    const ended = await scene.parts.store.get(id)
    expect(ended).toMatchObject({ state: 'Failed', reason: 'DeadlineExceeded' })
    const current = await getObject(scene.admin, generationJobs, job.metadata)
    const running = { ...current, status: { conditions: [condition('PodsReady', 'True', 'R')] } }
    await projectJob(scene.parts, running, scene.clock.nowMs())
    expect(await scene.parts.store.get(id)).toEqual(ended)
  })

  it('with the name of another is not projected', async () => {
    const { job, id } = await scene.startJob()
    const twin = {
      ...job,
      metadata: { ...job.metadata, uid: id },
      spec: { ...job.spec, jobId: id },
    }
    const other = { ...twin, metadata: { ...twin.metadata, uid: crypto.randomUUID() } }
    await projectJob(scene.parts, { ...other, status: { conditions: completed } }, 0)
    expect((await scene.parts.store.get(id))?.state).toBe('Pending')
  })

  it('that ended before its hold was asked for is in the history all the same', async () => {
    const job = await scene.applyJob()
    const row = await project(job, [condition('Succeeded', 'False', 'QueueTimeout')])
    expect(row).toMatchObject({ state: 'Failed', reason: 'QueueTimeout', hold: 'None' })
  })
})

async function listAll() {
  return await listObjects(scene.admin, generationJobs, { namespace: scene.kubectlNamespace })
}

/** Returns the keys of the resources that it asked to project again. */
async function compare(listJobs = listAll): Promise<readonly string[]> {
  const projected: string[] = []
  await compareOnce({ ...scene.parts, listJobs, project: (key) => projected.push(key) })
  return projected
}

async function breakOff(): Promise<never> {
  throw new Error('the list broke off')
}

describe('a deleted custom resource', () => {
  it('is a cancel, after two complete lists a minute apart, settled from the report', async () => {
    onTestFinished(scene.clock.freeze())
    const { job, id, podUID } = await scene.startJob({ batchCount: 2 })
    const before = await spent()
    await project(job, [condition('PodsReady', 'True', 'Running')])
    const output = await store(id, 'a.png')
    const report: Report = { reason: 'Cancelled', message: '', outputs: [output], stepsDone: 4 }
    await scene.parts.attempts.report({ jobId: id, attempt: 1 }, report)
    await deleteObject(scene.admin, generationJobs, job.metadata)
    await compare()
    expect(await scene.parts.store.get(id)).toMatchObject({ state: 'Running' })
    scene.clock.advance(missingForMs - 1)
    await compare()
    expect(await scene.parts.store.get(id)).toMatchObject({ state: 'Running', attempt: { podUID } })
    scene.clock.advance(1)
    await compare()
    await compare()
    expect(await scene.parts.store.get(id)).toMatchObject({
      state: 'Cancelled',
      reason: 'Cancelled',
      hold: 'Settled',
      outputs: [output],
      chargedMicroCredits: perImage,
    })
    expect(await spent()).toBe(before + perImage)
  })

  it('without a report is settled from the uploads that arrived', async () => {
    const { job, id } = await scene.startJob()
    await project(job, [condition('PodsReady', 'True', 'Running')])
    const { key, ...output } = await store(id, 'a.png')
    const ref = { jobId: id, attempt: 1 }
    await scene.parts.attempts.announce(ref, [output])
    await scene.parts.attempts.confirm(key, output.sha256)
    await deleteObject(scene.admin, generationJobs, job.metadata)
    await compare()
    scene.clock.advance(missingForMs)
    await compare()
    expect(await scene.parts.store.get(id)).toMatchObject({
      state: 'Cancelled',
      outputs: [{ key }],
      chargedMicroCredits: perImage,
    })
  })

  it('that comes back in a list was only missing for a moment', async () => {
    const { id } = await scene.startJob()
    await compare(async () => [])
    expect((await scene.parts.store.get(id))?.missingTimeMs).not.toBeNull()
    scene.clock.advance(missingForMs * 2)
    await compare()
    expect(await scene.parts.store.get(id)).toMatchObject({ missingTimeMs: null, state: 'Pending' })
  })

  it('is not concluded from a list that failed', async () => {
    const { id } = await scene.startJob()
    const broken = compare(breakOff)
    await expect(broken).rejects.toThrow('broke off')
    expect((await scene.parts.store.get(id))?.missingTimeMs).toBeNull()
  })
})

describe('a change that nobody saw', () => {
  it('is projected after the next comparison', async () => {
    const { job } = await scene.startJob()
    const { namespace, name } = job.metadata
    expect(await compare()).toContain(`${namespace}/${name}`)
  })
})

describe('a hold that nobody needs', () => {
  it('is expired once it is old enough, for its job never came to be', async () => {
    const { accounts } = scene.parts
    const jobId = randomBytes(13).toString('hex')
    await accounts.hold(account, jobId, perImage)
    const held = (await accounts.balanceOf(account)).heldMicroCredits
    await compare()
    expect((await accounts.balanceOf(account)).heldMicroCredits).toBe(held)
    scene.clock.advance(missingForMs)
    await compare()
    expect((await accounts.balanceOf(account)).heldMicroCredits).toBe(held - perImage)
    expect(await accounts.hold(account, jobId, perImage)).toEqual({ kind: 'Ended' })
    expect(await accounts.void(account, jobId)).toMatchObject({ kind: 'Expired' })
  })

  it('is voided when its job has ended', async () => {
    const { accounts } = scene.parts
    const job = await scene.applyJob()
    const row = await project(job, [condition('Succeeded', 'False', 'QueueTimeout')])
    await accounts.hold(account, row?._id ?? '', perImage)
    scene.clock.advance(missingForMs)
    await compare()
    expect(await accounts.expire(account, row?._id ?? '')).toMatchObject({ kind: 'Voided' })
  })

  it('is ended although the list of resources broke off', async () => {
    const { accounts } = scene.parts
    await accounts.hold(account, randomBytes(13).toString('hex'), perImage)
    const held = (await accounts.balanceOf(account)).heldMicroCredits
    scene.clock.advance(missingForMs)
    await expect(compare(breakOff)).rejects.toThrow('broke off')
    expect((await accounts.balanceOf(account)).heldMicroCredits).toBe(held - perImage)
  })
})

/** The same step, except for one id. */
function failing<Args extends readonly [string, ...unknown[]], Result>(
  id: string | undefined,
  step: (...args: Args) => Promise<Result>,
) {
  return async (...args: Args): Promise<Result> =>
    args[0] === id ? await Promise.reject(new Error('never')) : await step(...args)
}

describe('a job or an account that cannot be compared', () => {
  it('is told of and does not keep the others waiting', async () => {
    const { accounts, store: rows } = scene.parts
    const jobs = [await scene.startJob(), await scene.startJob()]
    for (const { job } of jobs) await deleteObject(scene.admin, generationJobs, job.metadata)
    await compare()
    const [bad, good] = jobs.map(({ id }) => id)
    // Sorts before every account of a department.
    const badAccount = `a-bad:${randomBytes(5).toString('hex')}`
    const issue = { issueId: badAccount, microCredits: 1, expiresMs: scene.clock.nowMs() + 1000 }
    await accounts.issue({ ...issue, accountId: badAccount })
    const left = randomBytes(13).toString('hex')
    await accounts.hold(account, left, perImage)
    scene.clock.advance(missingForMs * 3)
    const warned: object[] = []
    await compareOnce({
      ...scene.parts,
      store: { ...rows, change: failing(bad, rows.change) },
      accounts: { ...accounts, lapse: failing(badAccount, accounts.lapse) },
      listJobs: listAll,
      project: () => undefined,
      log: { warn: (fields) => void warned.push(fields) },
    })
    expect(warned).toMatchObject([{ id: bad }, { id: badAccount }])
    expect(await rows.get(good ?? '')).toMatchObject({ state: 'Cancelled' })
    expect(await accounts.hold(account, left, perImage)).toEqual({ kind: 'Ended' })
  })
})
