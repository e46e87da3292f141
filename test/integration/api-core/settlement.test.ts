import { createHash, randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { JobRow } from '../../../src/api/features/jobs/row.ts'
import { projectJob } from '../../../src/api/features/jobs/project.ts'
import { compareOnce, missingForMs } from '../../../src/api/tasks/compare.ts'
import { deleteObject, mergePatch } from '../../../src/platform/kube/objects.ts'
import { generationJobs, models } from '../../../src/platform/kube/resources.ts'
import type { Condition } from '../../../src/shared/crd/common.ts'
import type { AttemptEnd, GenerationJob, Output } from '../../../src/shared/crd/generation-job.ts'
import type { Report } from '../../../src/shared/wire/internal.ts'
import { eventually } from '../../support/eventually.ts'
import { type InternalScene, openInternalScene } from './internal-scene.ts'
import { modelSpec, perImage } from './scene.ts'

/** Four pictures of 20 model calls: each call is a twentieth of a credit. */
const batch = { batchCount: 4 }
const perCall = perImage / 20

let scene: InternalScene
let account: string

beforeAll(async () => {
  scene = await openInternalScene()
  account = `department:${scene.department}`
  await scene.fund(1000 * perImage, account)
})
afterAll(async () => await scene.close())

type Running = Awaited<ReturnType<InternalScene['startJob']>>

async function store(jobId: string, name: string, attempt = 1): Promise<Output> {
  const bytes = randomBytes(64)
  const sha256 = createHash('sha256').update(bytes).digest('hex')
  const facts = { sha256, sizeBytes: 64, contentType: 'image/png' }
  const key = `artifacts/${jobId}/${attempt}/${name}`
  await scene.parts.objects.put(key, Readable.from(bytes), facts)
  return { ...facts, name, key }
}

/** Uploaded by a pod that died before its report. */
async function upload(id: string, name: string): Promise<Output> {
  const { key, ...facts } = await store(id, name)
  await scene.parts.attempts.announce({ jobId: id, attempt: 1 }, [facts])
  await scene.parts.attempts.confirm(key, facts.sha256)
  return { ...facts, key }
}

async function report(id: string, attempt: number, given: Partial<Report>): Promise<void> {
  const whole: Report = { reason: 'Cancelled', message: '', outputs: [], stepsDone: 0, ...given }
  await scene.parts.attempts.report({ jobId: id, attempt }, whole)
}

async function sendProgress(id: string, attempt: number, stepsDone: number): Promise<void> {
  const counts = { step: 1, steps: 20, imagesDone: 0, images: 4, stepsDone }
  const progress = { sequence: 1, stage: 'Denoising', ...counts, attempt } as const
  await scene.parts.store.writeProgress(id, progress)
}

type End = {
  readonly reason: 'Cancelled' | 'Completed' | 'BackoffLimitExceeded' | 'DeadlineExceeded'
  readonly outcome?: AttemptEnd
  readonly attempt?: number
  readonly outputs?: Output[]
}

/** Ends the custom resource as the controller would, and projects it. */
async function end(job: GenerationJob, { reason, outcome, attempt = 1, outputs }: End) {
  const time = '2026-11-21T14:00:00Z'
  const status: Condition['status'] = reason === 'Completed' ? 'True' : 'False'
  const ended = await scene.setStatus(job, {
    conditions: [{ type: 'Succeeded', status, reason, message: '', lastTransitionTime: time }],
    attempt: { number: attempt, ...(outcome === undefined ? {} : { outcome }) },
    ...(outputs === undefined ? {} : { outputs }),
    completionTime: time,
  })
  await projectJob(scene.parts, ended, scene.clock.nowMs())
  return await rowOf(job)
}

async function rowOf({ metadata, spec }: GenerationJob): Promise<JobRow> {
  const row = await scene.parts.store.get(spec.jobId ?? metadata.uid)
  if (row === null) throw new Error('there is no row')
  const { heldMicroCredits } = await scene.parts.accounts.balanceOf(account)
  expect([row.hold === 'Held', heldMicroCredits >= 0]).toEqual([false, true])
  return row
}

/** Deletes the custom resource, whose attempt was last seen like this. */
async function remove(job: GenerationJob, outcome?: AttemptEnd): Promise<JobRow> {
  const attempt = { number: 1, ...(outcome === undefined ? {} : { outcome }) }
  await projectJob(scene.parts, { ...job, status: { attempt } }, 0)
  await deleteObject(scene.admin, generationJobs, job.metadata)
  const deps = { ...scene.parts, listJobs: async () => [], project: () => {} }
  await compareOnce(deps)
  scene.clock.advance(missingForMs)
  await compareOnce(deps)
  return await rowOf(job)
}

async function start(): Promise<Running> {
  return await scene.startJob(batch)
}

describe('a job that is cancelled', () => {
  it.each([
    ['at step 7 of 20 of its first picture', { delivered: 0, stepsDone: 7, charged: 7 * perCall }],
    ['at step 7 of 20 of the second', { delivered: 1, stepsDone: 27, charged: 27 * perCall }],
    ['between two pictures', { delivered: 2, stepsDone: 40, charged: 2 * perImage }],
    ['before its first step', { delivered: 0, stepsDone: 0, charged: 0 }],
    [
      'by a pod that says it did everything',
      { delivered: 1, stepsDone: 1_000_000, charged: 4 * perImage },
    ],
  ])('%s pays for that and no more', async (_, { delivered, stepsDone, charged }) => {
    const { job, id } = await start()
    const outputs: Output[] = []
    for (let index = 0; index < delivered; index += 1) outputs.push(await store(id, `${index}.png`))
    await report(id, 1, { outputs, stepsDone })
    const row = await end(job, { reason: 'Cancelled', outcome: 'Cancelled', outputs })
    expect(row).toMatchObject({
      state: 'Cancelled',
      hold: charged === 0 ? 'Voided' : 'Settled',
      chargedMicroCredits: charged,
    })
  })

  it('pays for the steps that were seen when its pod left no report', async () => {
    const { job, id } = await start()
    await sendProgress(id, 1, 13)
    const row = await end(job, { reason: 'Cancelled', outcome: 'Cancelled' })
    expect(row.chargedMicroCredits).toBe(13 * perCall)
  })

  it('in the moment in which it failed pays for no steps', async () => {
    const { job, id } = await start()
    await report(id, 1, { reason: 'Failed', stepsDone: 13 })
    const row = await end(job, { reason: 'Cancelled', outcome: 'Cancelled' })
    expect(row).toMatchObject({ hold: 'Voided', chargedMicroCredits: 0 })
  })

  it('by kubectl delete pays the same', async () => {
    const { job, id } = await start()
    await report(id, 1, { stepsDone: 9 })
    expect(await remove(job)).toMatchObject({
      state: 'Cancelled',
      chargedMicroCredits: 9 * perCall,
    })
  })

  it('by kubectl delete after its Node was lost pays for no steps', async () => {
    const { job, id } = await start()
    await sendProgress(id, 1, 13)
    expect(await remove(job)).toMatchObject({
      state: 'Cancelled',
      hold: 'Voided',
      chargedMicroCredits: 0,
    })
  })
})

describe('what is lost', () => {
  it.each(['Disrupted', 'Suspended', 'Failed'] as const)(
    'with an attempt that ended as %s costs nothing when the job is cancelled after it',
    async (outcome) => {
      const { job, id } = await start()
      await sendProgress(id, 1, 70)
      const row = await end(job, { reason: 'Cancelled', outcome })
      expect(row).toMatchObject({ hold: 'Voided', chargedMicroCredits: 0 })
    },
  )

  const nothing = { outputs: [], hold: 'Voided', chargedMicroCredits: 0 }

  it.each([
    ['BackoffLimitExceeded', 'Disrupted'],
    ['DeadlineExceeded', 'Disrupted'],
    ['Cancelled', 'Disrupted'],
    ['Cancelled', 'Suspended'],
  ] as const)('are the pictures of a job that ends as %s after %s', async (reason, outcome) => {
    for (const isNamed of [false, true]) {
      const { job, id } = await start()
      const outputs = [await upload(id, 'a.png'), await upload(id, 'b.png')]
      const ended = { reason, outcome, ...(isNamed ? { outputs } : {}) }
      expect(await end(job, ended)).toMatchObject(nothing)
    }
  })

  it.each(['Disrupted', 'Suspended'] as const)(
    'are the pictures of a job that is deleted with kubectl after %s',
    async (outcome) => {
      const { job, id } = await start()
      await upload(id, 'a.png')
      expect(await remove(job, outcome)).toMatchObject(nothing)
    },
  )

  it('with an earlier attempt is not paid beside the last one', async () => {
    const { job, id } = await start()
    await sendProgress(id, 1, 70)
    await report(id, 1, { reason: 'Failed', stepsDone: 70 })
    await report(id, 2, { stepsDone: 3 })
    const row = await end(job, { reason: 'Cancelled', outcome: 'Cancelled', attempt: 2 })
    expect(row.chargedMicroCredits).toBe(3 * perCall)
  })

  it('with an earlier attempt is not paid for a later one that did nothing', async () => {
    const { job, id } = await start()
    await sendProgress(id, 1, 70)
    const row = await end(job, { reason: 'Cancelled', outcome: 'Cancelled', attempt: 2 })
    expect(row).toMatchObject({ hold: 'Voided', chargedMicroCredits: 0 })
  })

  it.each([
    ['BackoffLimitExceeded', 'Failed'],
    ['BackoffLimitExceeded', 'Disrupted'],
    ['DeadlineExceeded', 'Disrupted'],
  ] as const)('when the job ends as %s after %s costs nothing', async (reason, outcome) => {
    const { job, id } = await start()
    await sendProgress(id, 1, 70)
    const row = await end(job, { reason, outcome })
    expect(row).toMatchObject({ state: 'Failed', hold: 'Voided', chargedMicroCredits: 0 })
  })

  it('is not what was delivered before the deadline, and no more than that', async () => {
    const { job, id } = await start()
    const outputs = [await upload(id, 'a.png'), await upload(id, 'b.png')]
    await report(id, 1, { outputs, stepsDone: 51 })
    const row = await end(job, { reason: 'DeadlineExceeded', outcome: 'Failed', outputs })
    expect(row).toMatchObject({
      state: 'Failed',
      outputs,
      hold: 'Settled',
      chargedMicroCredits: 2 * perImage,
    })
  })

  it('is what arrives after the custom resource has its end', async () => {
    const { job, id } = await start()
    await upload(id, 'a.png')
    const row = await end(job, { reason: 'DeadlineExceeded', outcome: 'Failed' })
    expect(row).toMatchObject({ state: 'Failed', ...nothing })
  })

  it('is not what was delivered: the history of a failed job is paid', async () => {
    const { job, id } = await start()
    const outputs = [await store(id, 'a.png')]
    await report(id, 1, { reason: 'Failed', outputs, stepsDone: 39 })
    const row = await end(job, { reason: 'BackoffLimitExceeded', outcome: 'Failed', outputs })
    expect(row).toMatchObject({ outputs, hold: 'Settled', chargedMicroCredits: perImage })
  })
})

async function setSpec(spec: object): Promise<void> {
  const { metadata } = await mergePatch(scene.admin, models, { name: scene.model, patch: { spec } })
  await eventually(() => {
    const seen = scene.parts.caches.models.lister.get(scene.model)?.metadata
    expect(seen?.generation).toBeGreaterThanOrEqual(metadata.generation ?? 0)
  })
}

async function setPrice(price: object): Promise<void> {
  await setSpec({ price })
}

describe('a Model that becomes dearer after a job was held', () => {
  it('changes nothing for the job', async () => {
    const { job, id } = await start()
    await setPrice({ perImageMicroCredits: 9 * perImage })
    try {
      expect((await scene.hold(job)).body).toMatchObject({ microCredits: 4 * perImage })
      const outputs = [await store(id, 'a.png'), await store(id, 'b.png')]
      const row = await end(job, { reason: 'Completed', outcome: 'Completed', outputs })
      expect(row.chargedMicroCredits).toBe(2 * perImage)
      const dearer = await scene.applyJob(batch)
      expect((await scene.hold(dearer)).body).toMatchObject({ microCredits: 36 * perImage })
    } finally {
      await setPrice(modelSpec.price)
    }
  })

  it('may price by steps and size, and refuses what no account could pay', async () => {
    await setPrice({ perImageMicroCredits: 0, perMegapixelStepMicroCredits: 1_000_000 })
    try {
      const held = async (steps: number) => (await scene.hold(await scene.applyJob({ steps }))).body
      expect(await held(1)).toMatchObject({ state: 'Held', microCredits: 4096 })
      expect(await held(100)).toMatchObject({ state: 'Held', microCredits: 409_600 })
      await setSpec({
        sizes: { width: { max: 4096 } },
        price: { perMegapixelStepMicroCredits: 1e12 },
      })
      const all = { batchCount: 100, batchSize: 16, steps: 100, width: 4096, height: 128 }
      expect((await scene.hold(await scene.applyJob(all))).body).toMatchObject({
        state: 'Refused',
        message: expect.stringContaining('spec.parameters: cost more credits'),
      })
    } finally {
      const price = { ...modelSpec.price, perMegapixelStepMicroCredits: null }
      await setSpec({ sizes: modelSpec.sizes, price })
    }
  })
})
