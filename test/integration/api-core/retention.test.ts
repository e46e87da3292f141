import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  openUploadUsage,
  repairUsageTask,
} from '../../../src/api/features/artifacts/upload-usage.ts'
import { finishJob } from '../../../src/api/features/jobs/finish.ts'
import { forgetKeysTask } from '../../../src/api/features/jobs/idempotency.ts'
import { removeOutdatedOnce } from '../../../src/api/features/jobs/retention.ts'
import { openJobService } from '../../../src/api/features/jobs/service.ts'
import { toView } from '../../../src/api/features/jobs/view.ts'
import { openAuditor } from '../../../src/api/tasks/audit/auditor.ts'
import { auditDepsFor } from './audit-scene.ts'
import { jobServiceDeps, openScene, perImage, type Scene } from './scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(async () => {
  await scene.close()
})

const bytes = Buffer.from('not really a picture')
const sha256 = createHash('sha256').update(bytes).digest('hex')
const facts = { sha256, sizeBytes: bytes.length, contentType: 'image/png' }
const dayMs = 86_400_000
const link = (key: string) => ({ url: key, expiresMs: 0 })

/** A job that has ended with a picture, and left another one from an attempt that failed. */
async function finished(): Promise<string> {
  await scene.fund(perImage)
  const { parts } = scene
  const request = { task: 'TextToImage', model: scene.model, parameters: { prompt: 'x' } } as const
  const { view } = await openJobService(jobServiceDeps(scene)).submit(scene.caller, request)
  const key = `artifacts/${view.id}/2/0-0.png`
  for (const one of [key, `artifacts/${view.id}/1/0-0.png`]) {
    await parts.objects.put(one, Readable.from([bytes]), facts)
  }
  const row = await parts.store.get(view.id)
  if (row === null) throw new Error('no row')
  await finishJob(parts, row, {
    state: 'Completed',
    reason: 'Completed',
    message: '',
    conditions: [],
    attempt: { number: 2, podUID: null },
    startTimeMs: null,
    completionTimeMs: scene.clock.nowMs(),
    outputs: [{ name: '0-0.png', key, ...facts }],
  })
  return view.id
}

const rowOf = async (jobId: string) => {
  const row = await scene.parts.store.get(jobId)
  if (row === null) throw new Error('no row')
  return row
}

const objectsOf = async (jobId: string): Promise<number> => {
  let count = 0
  for await (const _object of scene.parts.objects.list(`artifacts/${jobId}/`)) count += 1
  return count
}

const drift = async () => {
  const deps = { ...auditDepsFor(scene), listJobs: async () => [] }
  const report = await openAuditor(deps).full()
  return report.differences
}

describe('the pictures of a job', () => {
  it('stay until the last moment of their owner’s tier, and say so', async () => {
    const jobId = await finished()
    const row = await rowOf(jobId)
    expect(row.keepUntilMs).toBe((row.completionTimeMs ?? 0) + 30 * dayMs)
    expect(toView(row, link)).toMatchObject({
      outputsExpireTime: new Date(row.keepUntilMs ?? 0).toISOString(),
      outputsRemovedTime: null,
    })
    const early = { ...scene.parts, clock: { nowMs: () => (row.keepUntilMs ?? 0) - 1 } }
    await removeOutdatedOnce(early)
    expect(await objectsOf(jobId)).toBe(2)
    const due = { ...scene.parts, clock: { nowMs: () => row.keepUntilMs ?? 0 } }
    await removeOutdatedOnce(due)
    expect(await objectsOf(jobId)).toBe(0)
    expect(toView(await rowOf(jobId), link)).toMatchObject({
      state: 'Completed',
      outputs: [],
      outputsExpireTime: null,
      outputsRemovedTime: new Date(row.keepUntilMs ?? 0).toISOString(),
    })
    expect(await drift()).toEqual([])
  })

  it('are removed once, however often and at how many places at once it is tried', async () => {
    const ids = [await finished(), await finished()]
    const due = { ...scene.parts, clock: { nowMs: () => Date.now() + 40 * dayMs } }
    await Promise.all([1, 2, 3].map(async () => await removeOutdatedOnce(due)))
    await removeOutdatedOnce(due)
    for (const id of ids) expect([await objectsOf(id), (await rowOf(id)).outputs]).toEqual([0, []])
    expect(await removeOutdatedOnce(due)).toBe(0)
    expect(await drift()).toEqual([])
  })

  it('are removed although those of another job cannot be', async () => {
    const [bad, good] = [await finished(), await finished()]
    const { objects } = scene.parts
    const later = { nowMs: () => Date.now() + 40 * dayMs }
    const list: typeof objects.list = (prefix) => {
      if (prefix.includes(bad)) throw new Error('cannot be listed')
      return objects.list(prefix)
    }
    await removeOutdatedOnce({ ...scene.parts, clock: later, objects: { ...objects, list } })
    expect([await objectsOf(bad), await objectsOf(good)]).toEqual([2, 0])
    await removeOutdatedOnce({ ...scene.parts, clock: later })
    expect(await objectsOf(bad)).toBe(0)
  })

  it('are removed by the next pass when one died between the row and the objects', async () => {
    const jobId = await finished()
    const { objects } = scene.parts
    const late = { ...scene.parts, clock: { nowMs: () => Date.now() + 40 * dayMs } }
    const dying = {
      ...late,
      objects: {
        ...objects,
        delete: async (key: string) => {
          await objects.delete(key)
          throw new Error('killed')
        },
      },
    }
    const warned: object[] = []
    const log = { warn: (fields: object) => void warned.push(fields) }
    await removeOutdatedOnce({ ...dying, log })
    expect(warned).toMatchObject([{ id: jobId, err: { message: 'killed' } }])
    expect(await drift()).toEqual([])
    expect(await objectsOf(jobId)).toBe(1)
    const removedMs = (await rowOf(jobId)).outputsRemovedTimeMs
    await removeOutdatedOnce(late)
    expect([await objectsOf(jobId), (await rowOf(jobId)).keepUntilMs]).toEqual([0, null])
    expect((await rowOf(jobId)).outputsRemovedTimeMs).toBe(removedMs)
  })
})

const open = () => openUploadUsage(scene.parts.database, scene.parts.pictures)

describe('the count of uploaded bytes', () => {
  const user = 'u-counted'
  const picture = (id: string, sizeBytes: number) => ({
    _id: id,
    key: id,
    owner: { department: 'd', user },
    sha256,
    sizeBytes,
    contentType: 'image/png',
    size: null,
    creationTimeMs: 1,
  })
  it('begins with what was there before it was counted', async () => {
    await scene.parts.pictures.insert(picture('up-old', 40))
    expect(await open().read(user)).toBe(40)
    const over = await open().reserve(user, { sizeBytes: 61, quotaBytes: 100 })
    expect(over).toEqual({ kind: 'OverQuota', usedBytes: 40 })
    const exact = await open().reserve(user, { sizeBytes: 60, quotaBytes: 100 })
    expect(exact).toEqual({ kind: 'Reserved' })
  })

  it('is mended after two looks at which nothing moved, never while somebody works', async () => {
    const usage = open()
    const task = repairUsageTask(usage)
    await task.run()
    expect(await usage.read(user)).toBe(100)
    // Somebody was at work between the looks: the count may be right in a moment.
    await usage.reserve(user, { sizeBytes: 1, quotaBytes: 1000 })
    await task.run()
    expect(await usage.read(user)).toBe(101)
    await task.run()
    expect(await usage.read(user)).toBe(40)
    await task.run()
    expect(await usage.read(user)).toBe(40)
  })

  it('never goes below zero', async () => {
    await open().release(user, 41)
    expect(await open().read(user)).toBe(40)
  })

  it('lets exactly as much in as fits, of many at once', async () => {
    const wish = { sizeBytes: 20, quotaBytes: 100 }
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => await open().reserve(user, wish)),
    )
    expect(answers.filter(({ kind }) => kind === 'Reserved')).toHaveLength(3)
  })
})

describe('an idempotency key', () => {
  it('is kept for seven days and then forgotten', async () => {
    await scene.fund(2 * perImage)
    const jobs = openJobService(jobServiceDeps(scene))
    const request = {
      task: 'TextToImage',
      model: scene.model,
      parameters: { prompt: 'x' },
    } as const
    const options = { idempotencyKey: 'old' }
    const first = await jobs.submit(scene.caller, request, options)
    const forgetAt = async (ageMs: number) =>
      await forgetKeysTask({
        store: scene.parts.store,
        clock: { nowMs: () => scene.clock.nowMs() + ageMs },
      }).run()
    await forgetAt(7 * dayMs - 60_000)
    expect(await jobs.submit(scene.caller, request, options)).toMatchObject({
      replayed: true,
      view: { id: first.view.id },
    })
    await forgetAt(7 * dayMs + 1)
    expect(await jobs.submit(scene.caller, request, options)).toMatchObject({ replayed: false })
  })
})
