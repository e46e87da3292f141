import { afterAll, beforeAll, expect, it } from 'vitest'
import { systemClock } from '../../../src/platform/clock/system-clock.ts'
import { listObjects } from '../../../src/platform/kube/objects.ts'
import { events, generationJobs } from '../../../src/platform/kube/resources.ts'
import { defaultAdmissionSettings } from '../../../src/shared/domain/admission/input.ts'
import { eventually } from '../../support/eventually.ts'
import { type FakePoolPods, startFakePoolPods } from './fake-pool-pods.ts'
import { poolScene } from './pool-scene.ts'
import { output, reportWith, until } from './scene.ts'
import { createWorld, type World } from './world.ts'

const report = reportWith('Completed', [output])
const pooledCount = 16

let world: World
let pods: FakePoolPods
/** The controller's clock is so far ahead. */
let aheadMs = 0

/** One GPU, a pool that may have it all, and more work than the pool ever gets done. */
beforeAll(async () => {
  world = await createWorld({ gpus: [1], behaviour: () => ({ exit: { code: 0, report } }) })
  const { admin, api, namespace } = world
  pods = startFakePoolPods({ client: admin, api, namespace })
  await world.startController(undefined, { clock: { nowMs: () => systemClock.nowMs() + aheadMs } })
  await poolScene(world, 'warm').create({ minReplicas: 0, maxReplicas: 2 })
})

afterAll(async () => {
  await pods.close()
  await world.close()
})

async function createPooled(index: number): Promise<void> {
  const name = `pooled-${index}`
  pods.behave(name, { report, runMs: 300 })
  await world.createJob({ execution: 'Pooled' }, name)
}

async function scalingEvents(): Promise<readonly string[]> {
  const all = await listObjects(world.admin, events, { namespace: world.namespace })
  const ofPools = all.filter(({ involvedObject }) => involvedObject.kind === 'ModelPool')
  return ofPools.map(({ message = '' }) => message)
}

it('a pool that is always busy gives a Node to a job that has waited for it', async () => {
  await Promise.all(Array.from({ length: pooledCount }, (_, index) => createPooled(index)))
  await eventually(() => expect(pods.begun().length).toBeGreaterThan(0))
  await world.createJob({ execution: 'Dedicated', priority: 100 }, 'large')
  const before = pods.begun().length
  await eventually(() => expect(pods.begun().length).toBeGreaterThan(before + 2))
  expect((await world.getJob('large')).status?.attempt).toBeUndefined()

  aheadMs = defaultAdmissionSettings.patienceMs
  await until(world, { name: 'large', type: 'Succeeded', is: 'True/Completed' })
  expect(pods.begun().length).toBeLessThan(pooledCount)
  await eventually(async () => {
    const matching = expect.stringMatching(/^From \d to 0 pods: a job needs a Node of its own\.$/)
    expect(await scalingEvents()).toContainEqual(matching)
  })

  // Then it is the turn of the pool again, and none of its jobs was interrupted.
  for (let index = 0; index < pooledCount; index += 1) {
    await until(world, { name: `pooled-${index}`, type: 'Succeeded', is: 'True/Completed' })
  }
  const jobs = await listObjects(world.admin, generationJobs, { namespace: world.namespace })
  expect(jobs.filter(({ status }) => status?.attempt?.number !== 1)).toEqual([])
  expect(pods.violations()).toEqual([])
})
