import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { isNotFound } from '../../../src/platform/kube/errors.ts'
import { listObjects } from '../../../src/platform/kube/objects.ts'
import { pods } from '../../../src/platform/kube/resources.ts'
import { eventually } from '../../support/eventually.ts'
import { completes, conditionOf, output, poke, runs, until } from './scene.ts'
import { createWorld, type World, type WorldOptions } from './world.ts'

let world: World

afterEach(async () => {
  await world.close()
})

async function startWorld(options: WorldOptions = {}): Promise<World> {
  world = await createWorld(options)
  await world.startController()
  return world
}

async function livePods(): Promise<number> {
  const all = await listObjects(world.admin, pods, { namespace: world.namespace })
  return all.filter(({ status }) => status?.phase === 'Running' || status?.phase === 'Pending')
    .length
}

describe('cancel', () => {
  it('ends a queued job without any attempt', async () => {
    await startWorld({ gpus: [0] })
    await world.createJob()
    await until(world, { type: 'Admitted', is: 'False/Queued' })
    await world.patchSpec('job', { cancel: true })
    const job = await until(world, { type: 'Succeeded', is: 'False/Cancelled' })
    expect(job.status?.summary).toBe('0/1')
    expect(await world.attemptNames()).toEqual([])
  })

  it('stops the pod first, then ends the job with what the pod reported', async () => {
    await startWorld({ behaviour: () => runs })
    await world.createJob({ parameters: { prompt: 'a test', batchCount: 4 } })
    await until(world, { type: 'PodsReady', is: 'True/Running' })
    await world.patchSpec('job', { cancel: true })
    const job = await until(world, { type: 'Succeeded', is: 'False/Cancelled' })
    expect(await livePods()).toBe(0)
    expect(job.status?.outputs).toEqual([output])
    expect(job.status?.summary).toBe('1/4')
    await eventually(async () => {
      expect(await world.attemptNames()).toEqual([])
    })
  })
})

describe('suspend', () => {
  it('ends the attempt, keeps the hold, and resumes with the next attempt', async () => {
    await startWorld({ behaviour: (attempt) => (attempt === 1 ? runs : completes) })
    await world.createJob()
    await until(world, { type: 'PodsReady', is: 'True/Running' })
    await world.patchSpec('job', { suspend: true })
    const suspended = await until(world, { type: 'PodsReady', is: 'False/Ended' })
    expect(conditionOf(suspended, 'Admitted')).toBe('False/Suspended')
    expect(conditionOf(suspended, 'CreditsReserved')).toBe('True/Reserved')
    expect(conditionOf(suspended, 'Succeeded')).toBe('Unknown/Running')
    expect(await livePods()).toBe(0)
    await world.patchSpec('job', { suspend: false })
    const job = await until(world, { type: 'Succeeded', is: 'True/Completed' })
    expect(job.status?.attempt?.number).toBe(2)
    expect(job.status?.failedAttempts).toBeUndefined()
    expect(job.status?.disruptedAttempts).toBeUndefined()
  })

  it('from the start keeps a job from running but not from reserving its credits', async () => {
    await startWorld({ behaviour: () => completes })
    await world.createJob({ suspend: true })
    const job = await until(world, { type: 'CreditsReserved', is: 'True/Reserved' })
    expect(conditionOf(job, 'Admitted')).toBe('False/Suspended')
    expect(await world.attemptNames()).toEqual([])
    await world.patchSpec('job', { suspend: false })
    await until(world, { type: 'Succeeded', is: 'True/Completed' })
  })
})

describe('time limits', () => {
  it('end a job that is active for too long, after its pod has stopped', async () => {
    await startWorld({ behaviour: () => runs })
    await world.createJob({ activeDeadlineSeconds: 2 })
    const job = await until(world, { type: 'Succeeded', is: 'False/DeadlineExceeded' })
    expect(await livePods()).toBe(0)
    expect(job.status?.outputs).toEqual([output])
  })

  it('end a job that waits for too long', async () => {
    await startWorld({ gpus: [0] })
    await world.createJob({ queueTimeoutSeconds: 2 })
    await until(world, { type: 'Succeeded', is: 'False/QueueTimeout' })
    expect(await world.attemptNames()).toEqual([])
  })

  it('name the missing credits when those were what it waited for', async () => {
    world = await createWorld()
    const { metadata } = await world.createJob({ queueTimeoutSeconds: 60 })
    const lacking = { reason: 'InsufficientCredits', message: 'short', microCredits: 0 } as const
    world.api.setHold(metadata.uid, { state: 'Waiting', ...lacking })
    let aheadMs = 0
    const clock = { nowMs: () => systemClock.nowMs() + aheadMs }
    await world.startController(undefined, { clock })
    await until(world, { type: 'CreditsReserved', is: 'False/InsufficientCredits' })
    aheadMs = 60_000
    await poke(world, 'job')
    await until(world, { type: 'Succeeded', is: 'False/InsufficientCredits' })
    expect(await world.attemptNames()).toEqual([])
  })
})

describe('time to live', () => {
  it('deletes an ended job only when the api says that it is settled', async () => {
    await startWorld({ behaviour: () => completes })
    const { metadata } = await world.createJob({ ttlSecondsAfterFinished: 0 })
    await until(world, { type: 'Succeeded', is: 'True/Completed' })
    await eventually(() => {
      expect(world.api.requests).toContain(`GET /internal/v1/jobs/${metadata.uid}/settlement`)
    })
    expect((await world.getJob('job')).metadata.deletionTimestamp).toBeUndefined()
    world.api.setSettlement(metadata.uid, 'Settled')
    await eventually(async () => {
      const found = await world.getJob('job').catch((error: unknown) => {
        if (isNotFound(error)) return 'gone'
        throw error
      })
      expect(found).toBe('gone')
    })
  })
})
