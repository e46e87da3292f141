import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { decode } from 'fast-png'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Work } from '../../../src/shared/wire/internal.ts'
import type { PoolPodState } from '../../../src/shared/wire/pool.ts'
import { eventually } from '../../support/eventually.ts'
import { longTests } from '../../support/long.ts'
import { makePack, type TestPack } from '../../unit/inference/pack-builder.ts'
import { demoWork } from './demo-work.ts'
import { type FakeInternalApi, startFakeInternalApi } from './fake-internal-api.ts'
import { writeLoraPack } from './lora-pack.ts'
import { childPids, type PoolProcess, startPoolProcess } from './pool-process.ts'

const demoModel = path.resolve(import.meta.dirname, '../../../models/demo')
const token = 'token-of-the-pod'

const work = demoWork

/** Of which the middle one is printed. */
const warmRuns = longTests ? 5 : 1

/** So long that only a cancel ends it in time. */
const endless = { steps: 10, batchCount: 100, batchSize: 8 }

const works = new Map<string, Work>()
const fenced = new Set<string>()
/** What the answers to the reports of these jobs wait for. */
const heldReports = new Map<string, Promise<void>>()
let api: FakeInternalApi
let pool: PoolProcess
let tiny: TestPack
let folder: string
/** What the pod said of itself from its first moment on. */
const beginning: { ready: boolean; state: PoolPodState }[] = []

let jobs = 0
/** A job of its own for each test: the api knows its work, the pool not yet. */
function newJob(change: Partial<Work['parameters']> = {}, other: Partial<Work> = {}) {
  jobs += 1
  const jobId = String(jobs).padStart(26, '0')
  works.set(jobId, { ...work, ...other, parameters: { ...work.parameters, ...change } })
  return { jobId, uid: `uid-${jobs}` }
}

const reportsOf = (jobId: string) => api.reports.filter((report) => report.jobId === jobId)
const objectsOf = (jobId: string) => api.objects.filter((object) => object.jobId === jobId)
const statesOf = ({ slots }: PoolPodState) => slots.map(({ state }) => state)

async function untilIdle(process = pool): Promise<void> {
  await eventually(async () => {
    expect(new Set(statesOf(await process.state()))).toEqual(new Set(['Idle']))
  })
}

async function untilStep(jobId: string): Promise<void> {
  await eventually(() => expect(objectsOf(jobId).length).toBeGreaterThan(0))
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'atelier-pool-test-'))
  tiny = await makePack()
  api = await startFakeInternalApi({
    work,
    token,
    workOf: (jobId) => works.get(jobId),
    isFenced: ({ jobId, path: call }) => call === 'report' && fenced.has(jobId),
    answersAfter: ({ jobId, path: call }) =>
      call === 'report' ? heldReports.get(jobId) : undefined,
  })
  pool = await startPoolProcess({
    apiUrl: api.url,
    token,
    models: [
      { name: 'demo', folder: demoModel },
      { name: 'tiny', folder: tiny.folder },
    ],
    loras: [{ name: 'rust', folder: await writeLoraPack(folder) }],
    slots: 2,
    // Jobs that are not over a second after SIGTERM are cancelled.
    graceSeconds: 11,
  })
  await eventually(async () => {
    const ready = await pool.isReady()
    beginning.push({ ready, state: await pool.state() })
    if (!ready) throw new Error(`not ready yet: ${pool.output()}`)
  })
})
afterAll(async () => {
  await pool.close()
  await api.close()
  await tiny.remove()
  await rm(folder, { recursive: true, force: true })
})

describe('a pool pod', () => {
  test('is ready when every slot has made its warm step, each with a model of its own', () => {
    const whenReady = beginning.filter(({ ready }) => ready).map(({ state }) => statesOf(state))
    expect(whenReady).toEqual([['Idle', 'Idle']])
    expect(beginning.at(-1)?.state.slots).toEqual([
      { model: 'demo', state: 'Idle', job: null },
      { model: 'tiny', state: 'Idle', job: null },
    ])
  })

  test('does a job, hands in its report and says that it has ended', async () => {
    const { uid, jobId } = newJob({ batchCount: 2 })
    const answer = await pool.put(uid, { jobId, model: 'demo' })
    expect(answer).toEqual({ status: 200, answer: { attempt: 1, state: 'Running' } })
    const ended = { attempt: 1, state: 'Ended', reason: 'Completed' }
    expect(await pool.untilEnded(uid)).toEqual(ended)
    expect(reportsOf(jobId)).toMatchObject([
      { attempt: 1, report: { reason: 'Completed', stepsDone: 8 } },
    ])
    expect(objectsOf(jobId).map(({ name }) => name)).toEqual(['image-0000.png', 'image-0001.png'])
    expect(decode(objectsOf(jobId)[0].bytes)).toMatchObject({ width: 32, height: 32 })
    expect(api.faults).toEqual([])
  })

  test('does a job once that is given twice at once and again after its end', async () => {
    const { uid, jobId } = newJob()
    const given = { jobId, model: 'demo' }
    const answers = await Promise.all([pool.put(uid, given), pool.put(uid, given)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    await pool.untilEnded(uid)
    const again = await pool.put(uid, given)
    expect(again.answer).toMatchObject({ state: 'Ended', reason: 'Completed' })
    expect(reportsOf(jobId)).toHaveLength(1)
    expect(objectsOf(jobId)).toHaveLength(1)
  })

  test('cancels a job, keeps its result, and forgets it when told again', async () => {
    const { uid, jobId } = newJob(endless)
    await pool.put(uid, { jobId, model: 'demo' })
    await untilStep(jobId)
    const line = `DELETE /v1/jobs/${uid}?attempt=1`
    expect(await pool.ask(line)).toMatchObject({ status: 204 })
    expect(await pool.untilEnded(uid)).toMatchObject({ state: 'Ended', reason: 'Cancelled' })
    const [{ report }] = reportsOf(jobId)
    expect(report).toMatchObject({ reason: 'Cancelled' })
    expect(report.outputs).toHaveLength(objectsOf(jobId).length)
    expect(report.stepsDone).toBeLessThan(8_000)
    await pool.ask(line)
    expect(await pool.ask(`GET /v1/jobs/${uid}?attempt=1`)).toMatchObject({ status: 404 })
    const late = await pool.put(uid, { jobId, model: 'demo' })
    expect(late).toMatchObject({ status: 409, answer: { code: 'pool.attempt_outdated' } })
  })

  test('does two jobs at once, and has no room for a third', async () => {
    const [one, two, three] = [newJob(endless), newJob(endless), newJob()]
    await pool.put(one.uid, { jobId: one.jobId, model: 'demo' })
    await pool.put(two.uid, { jobId: two.jobId, model: 'tiny' })
    const refused = await pool.put(three.uid, { jobId: three.jobId, model: 'demo' })
    expect(refused).toMatchObject({ status: 409, answer: { code: 'pool.busy' } })
    await Promise.all([untilStep(one.jobId), untilStep(two.jobId)])
    const { slots } = await pool.state()
    expect(slots).toMatchObject([
      { model: 'demo', state: 'Busy', job: { uid: one.uid, attempt: 1 } },
      { model: 'tiny', state: 'Busy', job: { uid: two.uid, attempt: 1 } },
    ])
    expect(await pool.isReady()).toBe(true)
    for (const { uid } of [one, two]) await pool.ask(`DELETE /v1/jobs/${uid}?attempt=1`)
    for (const { uid } of [one, two]) {
      expect(await pool.untilEnded(uid)).toMatchObject({ reason: 'Cancelled' })
    }
    await untilIdle()
  })

  test('cancels an attempt for the next one, which has to wait until it is over', async () => {
    const { uid, jobId } = newJob(endless)
    await pool.put(uid, { jobId, model: 'demo' })
    await untilStep(jobId)
    const next = { jobId, model: 'demo', attempt: 2 }
    expect(await pool.put(uid, next)).toMatchObject({ answer: { code: 'pool.busy' } })
    await pool.untilEnded(uid)
    works.set(jobId, work)
    expect(await pool.put(uid, next)).toMatchObject({ answer: { attempt: 2, state: 'Running' } })
    expect(await pool.untilEnded(uid, 2)).toMatchObject({ reason: 'Completed' })
    const reports = reportsOf(jobId).map(({ attempt, report }) => [attempt, report.reason])
    expect(reports).toEqual([
      [1, 'Cancelled'],
      [2, 'Completed'],
    ])
  })

  test('gives up a report that the api does not want any more', async () => {
    const { uid, jobId } = newJob()
    fenced.add(jobId)
    await pool.put(uid, { jobId, model: 'demo' })
    expect(await pool.untilEnded(uid)).toMatchObject({ state: 'Ended', reason: 'Completed' })
    expect(reportsOf(jobId)).toEqual([])
  })

  test('fails a job whose Model wants another pack, and is warm again', async () => {
    const changed = { ...work.model, digest: '0'.repeat(64) }
    const { uid, jobId } = newJob({}, { model: changed })
    await pool.put(uid, { jobId, model: 'demo' })
    expect(await pool.untilEnded(uid)).toMatchObject({ reason: 'Failed' })
    expect(reportsOf(jobId)[0].report.message).toContain('digest is')
    await untilIdle()
    expect((await pool.state()).slots.map(({ model }) => model)).toEqual(['demo', 'tiny'])
  })

  test('finds LoRAs by their name and loads another model where no slot has it', async () => {
    const [busy, other] = [newJob(endless), newJob({}, { loras: [{ name: 'rust', scale: 1 }] })]
    await pool.put(busy.uid, { jobId: busy.jobId, model: 'tiny' })
    await untilStep(busy.jobId)
    await pool.put(other.uid, { jobId: other.jobId, model: 'tiny' })
    const { reason } = await pool.untilEnded(other.uid)
    expect({ reason, message: reportsOf(other.jobId)[0]?.report.message }).toEqual({
      reason: 'Completed',
      message: '',
    })
    const { slots } = await pool.state()
    expect(slots[0]).toEqual({ model: 'tiny', state: 'Idle', job: null })
    await pool.ask(`DELETE /v1/jobs/${busy.uid}?attempt=1`)
    await pool.untilEnded(busy.uid)

    const back = newJob()
    await pool.put(back.uid, { jobId: back.jobId, model: 'demo' })
    expect(await pool.untilEnded(back.uid)).toMatchObject({ reason: 'Completed' })
    expect((await pool.state()).slots.map(({ model }) => model)).toEqual(['demo', 'tiny'])
  })

  test('goes on when a runner is killed, and is warm again after a second death', async () => {
    const [once, twice] = [newJob({ steps: 10, batchCount: 20 }), newJob(endless)]
    await pool.put(once.uid, { jobId: once.jobId, model: 'demo' })
    await pool.put(twice.uid, { jobId: twice.jobId, model: 'tiny' })
    for (const { jobId } of [once, twice]) await untilStep(jobId)
    const first = await childPids(pool.pid)
    for (const pid of first) process.kill(pid, 'SIGKILL')
    expect(await pool.untilEnded(once.uid)).toMatchObject({ reason: 'Completed' })
    expect(objectsOf(once.jobId)).toHaveLength(20)

    const before = objectsOf(twice.jobId).length
    await eventually(() => expect(objectsOf(twice.jobId).length).toBeGreaterThan(before))
    for (const pid of await childPids(pool.pid)) process.kill(pid, 'SIGKILL')
    expect(await pool.untilEnded(twice.uid)).toMatchObject({ reason: 'Failed' })
    expect(reportsOf(twice.jobId)[0].report.message).toContain('signal SIGKILL')
    // One child died of a job, the other one idle: both slots come back by themselves.
    await untilIdle()
    expect((await childPids(pool.pid)).some((pid) => first.includes(pid))).toBe(false)
    expect((await pool.state()).slots.map(({ model }) => model)).toEqual(['demo', 'tiny'])
  })

  test('refuses what was meant for the process before it', async () => {
    const { uid, jobId } = newJob()
    const body = { attempt: 1, jobId, model: 'demo', runner: 'another-runner' }
    const refused = await pool.ask(`PUT /v1/jobs/${uid}`, body)
    expect(refused).toMatchObject({ status: 409, answer: { code: 'pool.runner_changed' } })
  })

  test('costs little beside the pictures when it is warm', async () => {
    for (const steps of [1, 20]) {
      const timesMs: number[] = []
      for (let run = 0; run < warmRuns; run++) {
        const { uid, jobId } = newJob({ steps, width: 64, height: 64, seed: run })
        const startedMs = performance.now()
        await pool.put(uid, { jobId, model: 'demo' })
        expect(await pool.untilEnded(uid)).toMatchObject({ reason: 'Completed' })
        timesMs.push(Math.round(performance.now() - startedMs))
      }
      const sorted = timesMs.toSorted((a, b) => a - b)
      const middle = sorted[Math.floor(warmRuns / 2)]
      const text = `warm job, 64x64, ${steps} steps, PUT to Ended: p50 ${middle} ms`
      process.stdout.write(`${text} (${sorted.join(' ')})\n`)
    }
  })

  test('cancels what is not over in time before it ends', async () => {
    const { uid, jobId } = newJob(endless)
    await pool.put(uid, { jobId, model: 'demo' })
    await untilStep(jobId)
    const poll = pool.untilEnded(uid)
    pool.signal('SIGTERM')
    expect(await poll).toMatchObject({ reason: 'Cancelled' })
    const { code, output } = await pool.end
    expect({ code, output }).toMatchObject({ code: 0 })
    expect(output).not.toContain(work.parameters.prompt)
    expect(reportsOf(jobId).map(({ report }) => report.reason)).toEqual(['Cancelled'])
  })
})

describe('a pool pod with a pack that cannot make a picture', () => {
  let broken: TestPack
  let own: PoolProcess
  let leases: string
  beforeAll(async () => {
    leases = path.join(folder, 'cache/.leases', 'a'.repeat(64))
    broken = await makePack('tiny-sd-inpaint')
    // It loads, but it only repaints: the warm step alone can tell.
    await broken.list({ tasks: ['TextToImage'] })
    const models = [
      { name: 'broken', folder: broken.folder },
      { name: 'demo', folder: demoModel },
    ]
    await mkdir(leases, { recursive: true })
    const lease = path.join(leases, 'uid-of-the-pod')
    own = await startPoolProcess({ apiUrl: api.url, token, models, leases: [lease] })
    await untilIdle(own)
  })
  afterAll(async () => {
    await own.close()
    await broken.remove()
  })

  test('serves the other one and says what is wrong', async () => {
    const { slots } = await own.state()
    expect(slots).toMatchObject([{ model: 'demo', state: 'Idle', job: null }])
    expect(slots[0].message).toMatch(/^broken: .*can do Inpaint only/)
    expect(await own.isReady()).toBe(true)
  })

  test('holds the lease of its packs, so that nobody evicts them', async () => {
    expect(await readdir(leases)).toEqual(['uid-of-the-pod'])
  })

  test('is not ready while its only runner is replaced', async () => {
    // The next runner may be warm before anybody has looked: then it is killed, too.
    const runnerPid = await eventually(async () => {
      await untilIdle(own)
      const [pid = 0] = await childPids(own.pid)
      expect(pid).toBeGreaterThan(0)
      process.kill(pid, 'SIGKILL')
      await eventually(async () => expect(await own.isReady()).toBe(false), 2000)
      const { uid, jobId } = newJob()
      const refused = await own.put(uid, { jobId, model: 'demo' })
      expect(refused).toMatchObject({ status: 409, answer: { code: 'pool.busy' } })
      return pid
    })
    await untilIdle(own)
    expect(await own.isReady()).toBe(true)
    expect(await childPids(own.pid)).not.toContain(runnerPid)
  })

  test('fails the jobs of that model and goes on with the other one', async () => {
    const { uid, jobId } = newJob()
    await own.put(uid, { jobId, model: 'broken' })
    expect(await own.untilEnded(uid)).toMatchObject({ reason: 'InvalidInput' })
    await untilIdle(own)
    expect((await own.state()).slots).toMatchObject([{ model: 'demo', job: null }])
  })

  test('finishes its job after SIGTERM, takes no other one, and ends well', async () => {
    const [last, late] = [newJob({ steps: 10, batchCount: 15 }), newJob()]
    const refusal = Promise.withResolvers<void>()
    heldReports.set(last.jobId, refusal.promise)
    await own.put(last.uid, { jobId: last.jobId, model: 'demo' })
    await untilStep(last.jobId)
    own.signal('SIGTERM')
    await eventually(async () => expect((await own.state()).draining).toBe(true))
    const ended = own.untilEnded(last.uid)
    own.signal('SIGTERM')
    expect(await own.isReady()).toBe(false)
    const refused = await own.put(late.uid, { jobId: late.jobId, model: 'demo' })
    expect(refused).toMatchObject({ status: 409, answer: { code: 'pool.draining' } })
    refusal.resolve()
    expect(await ended).toMatchObject({ reason: 'Completed' })
    const { code, output } = await own.end
    expect({ code, output }).toMatchObject({ code: 0 })
    expect(objectsOf(last.jobId)).toHaveLength(15)
    expect(reportsOf(last.jobId)).toHaveLength(1)
    // Its packs may be evicted from now on; until then also while it drained.
    expect(await readdir(leases)).toEqual(['.last-use'])
  })
})
