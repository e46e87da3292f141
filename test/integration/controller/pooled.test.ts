import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Controller } from '../../../src/controller/manager.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { deleteObject } from '../../../src/platform/kube/objects.ts'
import { generationJobs } from '../../../src/platform/kube/resources.ts'
import type { GenerationJobSpec } from '../../../src/shared/crd/generation-job.ts'
import { eventually } from '../../support/eventually.ts'
import { dyingAfter } from './dying-client.ts'
import type { FakePoolPod, RunBehaviour } from './fake-pool-pod.ts'
import { type FakePoolPods, startFakePoolPods } from './fake-pool-pods.ts'
import { losingAnswers } from './losing-client.ts'
import { poolScene } from './pool-scene.ts'
import { conditionOf, messageOf, output, reportWith, until } from './scene.ts'
import { createWorld, type World } from './world.ts'

const completes: RunBehaviour = { report: reportWith('Completed', [output]) }
const runs: RunBehaviour = { stopReport: reportWith('Cancelled', [output]) }

let world: World
let pods: FakePoolPods
let controller: Controller
const counting = dyingAfter(Infinity)
const losing = losingAnswers()
const wrap = (client: KubeClient) => losing.wrap(counting.wrap(client))

/** One world with a pool of two pods of one slot each; every test leaves both of them idle. */
beforeAll(async () => {
  world = await createWorld({ gpus: [2] })
  const { admin, api, namespace } = world
  pods = startFakePoolPods({ client: admin, api, namespace })
  controller = await world.startController(wrap)
  await poolScene(world, 'warm').create({ replicas: 2, maxReplicas: 2 })
  await untilReady()
})

afterAll(async () => {
  await pods.close()
  await world.close()
})

async function untilReady(): Promise<void> {
  await eventually(() => expect(pods.ready()).toHaveLength(2))
}

async function createJob(
  name: string,
  behaviour: RunBehaviour,
  spec: Partial<GenerationJobSpec> = {},
) {
  pods.behave(name, behaviour)
  return await world.createJob({ execution: 'Pooled', ...spec }, name)
}

/** The pod that has begun this attempt, such as `job/1`. */
async function podWith(begun: string): Promise<FakePoolPod> {
  return await eventually(() => {
    const found = pods.ready().find((pod) => pod.begun.includes(begun))
    if (found === undefined) throw new Error(`nobody has begun ${begun}`)
    return found
  })
}

async function ended(name: string, is = 'True/Completed') {
  return await until(world, { name, type: 'Succeeded', is })
}

describe('a job in a slot of a pool', () => {
  it('completes without a pod of its own', async () => {
    await createJob('quick', completes, { execution: 'Auto' })
    const { status, metadata } = await ended('quick')
    const [first, second] = pods.ready()
    expect([first?.uid, second?.uid]).toContain(status?.attempt?.podUID)
    expect(status).toMatchObject({
      attempt: { number: 1, pool: 'warm', outcome: 'Completed', startTime: expect.any(String) },
      outputs: [output],
      summary: '1/1',
    })
    expect(metadata.generation).toBe(1)
    expect(await world.attemptNames()).toEqual([])
    await eventually(async () => {
      expect(await world.eventReasons()).toEqual(['Admitted', 'Completed'])
    })
  })

  it('costs two writes of its status, three where it takes longer than a moment', async () => {
    const before = counting.writes.length
    // On a busy machine one of them may take longer than a moment.
    const names = ['cheap-1', 'cheap-2', 'cheap-3']
    for (const name of names) {
      await createJob(name, completes)
      await ended(name)
    }
    const writes = () => counting.writes.slice(before)
    const counts = () =>
      names.map((name) => {
        return writes().filter((write) => write.includes(`/generationjobs/${name}/`)).length
      })
    // A write is seen here before the controller has its answer, with which it counts.
    await eventually(() => expect(Math.min(...counts())).toBe(2))
    expect(Math.max(...counts())).toBeLessThanOrEqual(3)
    expect(writes().filter((write) => !write.includes('/events')).length).toBeLessThan(30)
  })

  it.each([
    ['refused by a server at fault', { isDone: false, status: 500 }],
    ['lost on its way there', { isDone: false, status: 0 }],
    ['done without an answer', { isDone: true, status: 0 }],
  ])('completes at once when the write that gives it its slot is %s', async (_, loss) => {
    const name = `unsure-${loss.status}-${loss.isDone}`
    losing.losses.push({ ...loss, path: `/generationjobs/${name}/status` })
    await createJob(name, completes)
    const { status } = await ended(name)
    expect(status?.attempt?.number).toBe(1)
    expect(losing.losses).toEqual([])
  })

  it('is told to run when it runs for longer than a moment', async () => {
    const over = Promise.withResolvers<void>()
    await createJob('long', { ...completes, until: over.promise })
    const { status } = await until(world, { name: 'long', type: 'PodsReady', is: 'True/Running' })
    expect(status?.attempt).toMatchObject({ startTime: expect.any(String) })
    over.resolve()
    await ended('long')
  })

  it('waits while all slots are taken, and none is given twice', async () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'].map((letter) => `many-${letter}`)
    await Promise.all(names.map(async (name) => await createJob(name, completes)))
    await Promise.all(names.map(async (name) => await ended(name)))
    const begun = pods.ready().flatMap((pod) => pod.begun.filter((each) => each.startsWith('many')))
    expect(begun.toSorted()).toEqual(names.map((name) => `${name}/1`))
  })

  it('waits for a pool that has its model, and says so', async () => {
    const loras = [{ name: 'nowhere', scale: 1 }]
    await createJob('unserved', completes, { parameters: { prompt: 'x', loras } })
    await until(world, { name: 'unserved', type: 'ModelReady', is: 'False/ModelNotFound' })
    await createJob('refused', completes, {
      task: 'ImageToImage',
      inputs: [{ role: 'Image', configMapRef: { name: 'parts', key: 'a.png' } }],
    })
    const refused = await ended('refused', 'False/InvalidInput')
    expect(messageOf(refused, 'Succeeded')).toContain('spec.inputs[0].configMapRef')
    await world.patchSpec('unserved', { cancel: true })
    await ended('unserved', 'False/Cancelled')
  })
})

describe('an attempt in a slot', () => {
  it('whose pod is killed is followed by another, and its late report is ignored', async () => {
    const { metadata } = await createJob('killed', runs)
    const first = await podWith('killed/1')
    pods.behave('killed', completes)
    await pods.kill(first)
    const second = await podWith('killed/2')
    expect(second.uid).not.toBe(first.uid)
    world.api.setReport(metadata.uid, 1, reportWith('Failed'))
    const { status } = await ended('killed')
    expect(status).toMatchObject({ attempt: { number: 2 }, disruptedAttempts: 1 })
    expect(status?.failedAttempts).toBeUndefined()
    await untilReady()
  })

  it('goes on when the controller starts anew', async () => {
    await createJob('kept', { ...completes, runMs: 1200 })
    const pod = await podWith('kept/1')
    await controller.stop()
    controller = await world.startController(wrap)
    const { status } = await ended('kept')
    expect(status?.attempt).toMatchObject({ number: 1, podUID: pod.uid })
    expect(pods.ready().flatMap((each) => each.begun)).not.toContain('kept/2')
  })

  it('is followed by another when its container was started again', async () => {
    await createJob('restarted', runs)
    const pod = await podWith('restarted/1')
    pods.behave('restarted', completes)
    pod.restart()
    const { status } = await ended('restarted')
    expect(status).toMatchObject({ attempt: { number: 2 }, disruptedAttempts: 1 })
  })

  it('is tried again while its slot is still taken', async () => {
    for (const pod of pods.ready()) pod.refusals.push('pool.busy', 'pool.busy')
    await createJob('busy', completes)
    const { status } = await ended('busy')
    expect(status?.attempt?.number).toBe(1)
    for (const pod of pods.ready()) pod.refusals.length = 0
  })

  it('goes elsewhere when its pod is about to end', async () => {
    for (const pod of pods.ready()) pod.refusals.push('pool.draining')
    await createJob('drained', completes)
    const { status } = await ended('drained')
    expect(status?.attempt?.number).toBeGreaterThan(1)
    for (const pod of pods.ready()) pod.refusals.length = 0
  })
})

describe('a user', () => {
  it('cancels a job in a slot, and keeps what it had delivered', async () => {
    await createJob('cancelled', runs)
    await podWith('cancelled/1')
    await world.patchSpec('cancelled', { cancel: true })
    const job = await ended('cancelled', 'False/Cancelled')
    expect(job.status).toMatchObject({ outputs: [output], attempt: { outcome: 'Cancelled' } })
    expect(conditionOf(job, 'PodsReady')).toBe('False/Ended')
  })

  it('suspends one and resumes it with the next attempt', async () => {
    await createJob('suspended', runs)
    await podWith('suspended/1')
    await world.patchSpec('suspended', { suspend: true })
    const at = { name: 'suspended', type: 'PodsReady', is: 'False/Ended' }
    const { status } = await until(world, at)
    expect(status?.attempt?.outcome).toBe('Suspended')
    pods.behave('suspended', completes)
    await world.patchSpec('suspended', { suspend: false })
    expect((await ended('suspended')).status?.attempt?.number).toBe(2)
  })

  it('deletes one, which frees its slot', async () => {
    await createJob('deleted', runs)
    const pod = await podWith('deleted/1')
    const ref = { name: 'deleted', namespace: world.namespace }
    await deleteObject(world.admin, generationJobs, ref)
    await eventually(() => expect(pod.requests).toContain('DELETE'))
    await Promise.all(['after-a', 'after-b'].map(async (name) => await createJob(name, completes)))
    await Promise.all(['after-a', 'after-b'].map(async (name) => await ended(name)))
  })
})

describe('the pods', () => {
  it('never had a job before its status named them, nor two in one slot', () => {
    expect(pods.violations()).toEqual([])
  })
})
