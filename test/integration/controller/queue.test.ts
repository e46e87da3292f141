import { afterEach, describe, expect, it } from 'vitest'
import { createObject, deleteObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { models, pods } from '../../../src/platform/kube/resources.ts'
import { generationJobReasons } from '../../../src/shared/crd/conditions.ts'
import { eventually } from '../../support/eventually.ts'
import { type Behaviour, setStatus } from './kubelet.ts'
import { poolScene } from './pool-scene.ts'
import { completes, conditionOf, messageOf, poke, runs, statusWrites, until } from './scene.ts'
import { createWorld, modelSpec, type World } from './world.ts'

let world: World

afterEach(async () => {
  await world.close()
})

describe('the queue', () => {
  it('lets the third job wait while two have the two GPUs, then serves it', async () => {
    const behaviours = new Map<string, Behaviour>()
    world = await createWorld({ gpus: [2], behaviour: (_, job) => behaviours.get(job) ?? runs })
    await world.createJob({}, 'first')
    await world.createJob({}, 'second')
    // Ages are in whole seconds: the third is younger for certain.
    await new Promise((resolve) => {
      setTimeout(resolve, 1100)
    })
    await world.createJob({}, 'third')
    await world.startController()
    await until(world, { name: 'first', type: 'PodsReady', is: 'True/Running' })
    await until(world, { name: 'second', type: 'PodsReady', is: 'True/Running' })
    await until(world, { name: 'third', type: 'Admitted', is: 'False/Queued' })
    await until(world, { name: 'third', type: 'CreditsReserved', is: 'True/Reserved' })
    // The queue moves on behind it.
    await world.createJob({ priority: 10 }, 'fourth')
    await until(world, { name: 'fourth', type: 'Admitted', is: 'False/Queued' })
    expect(await world.attemptNames()).toHaveLength(2)
    expect(statusWrites(world, 'third')).toBeLessThanOrEqual(2)
    behaviours.set('first', completes)
    await until(world, { name: 'first', type: 'Succeeded', is: 'True/Completed' })
    await until(world, { name: 'third', type: 'PodsReady', is: 'True/Running' })
    expect(conditionOf(await world.getJob('second'), 'PodsReady')).toBe('True/Running')
  })

  it('passes over a job that fits on no Node at all, and says so when it ends', async () => {
    world = await createWorld({ gpus: [1], behaviour: () => completes })
    const large = `${world.namespace}-large`
    const resources = { gpus: 1, cpu: '64', memory: '64Mi' }
    const spec = modelSpec({ resources })
    await createObject(world.admin, models, { metadata: { name: large }, spec })
    try {
      await world.startController()
      const modelRef = { name: large }
      await world.createJob({ modelRef }, 'large')
      await until(world, { name: 'large', type: 'Admitted', is: 'False/Queued' })
      await world.createJob({}, 'small')
      await until(world, { name: 'small', type: 'Succeeded', is: 'True/Completed' })
      const waiting = await world.getJob('large')
      expect(conditionOf(waiting, 'Admitted')).toBe('False/Queued')
      expect(messageOf(waiting, 'Admitted')).toBe(generationJobReasons.Admitted.Queued)
      await world.createJob({ modelRef, queueTimeoutSeconds: 1 }, 'hasty')
      const at = { name: 'hasty', type: 'Succeeded', is: 'False/QueueTimeout' }
      expect(messageOf(await until(world, at), 'Succeeded')).toContain('No Node is large enough')
    } finally {
      await world.removeModel(large)
    }
  })

  it('writes nothing more of a job that waits when a pool comes for it and goes', async () => {
    world = await createWorld()
    await world.startController()
    await world.createJob({ execution: 'Pooled' }, 'early')
    await until(world, { name: 'early', type: 'CreditsReserved', is: 'True/Reserved' })
    const pool = poolScene(world, 'late')
    await pool.create({ replicas: 0 })
    await pool.until('False/Stopped')
    // Of which admission knows the pool, whatever it has to do for those before.
    await world.createJob({ execution: 'Pooled' }, 'later')
    await until(world, { name: 'later', type: 'CreditsReserved', is: 'True/Reserved' })
    await poke(world, 'early')
    await pool.remove()
    await poke(world, 'later')
    await world.createJob({ execution: 'Pooled' }, 'last')
    await until(world, { name: 'last', type: 'CreditsReserved', is: 'True/Reserved' })
    expect(conditionOf(await world.getJob('early'), 'Admitted')).toBe('False/Queued')
    for (const name of ['early', 'later']) {
      expect(statusWrites(world, name)).toBeLessThanOrEqual(2)
    }
  })

  it('gives nothing away on Nodes that are not ready', async () => {
    world = await createWorld({ behaviour: () => completes })
    await world.nodes[0]?.setReady(false)
    await world.startController()
    await world.createJob()
    await until(world, { type: 'Admitted', is: 'False/Queued' })
    expect(await world.attemptNames()).toEqual([])
    await world.nodes[0]?.setReady(true)
    await until(world, { type: 'Succeeded', is: 'True/Completed' })
  })

  it('keeps a place when the controller restarts', async () => {
    world = await createWorld({ behaviour: () => runs })
    const first = await world.startController()
    await world.createJob()
    await until(world, { type: 'PodsReady', is: 'True/Running' })
    const before = await world.attemptNames()
    await first.stop()
    await world.startController()
    await world.createJob({}, 'next')
    await until(world, { name: 'next', type: 'Admitted', is: 'False/Queued' })
    expect(await world.attemptNames()).toEqual(before)
    expect((await world.getJob('job')).status?.attempt?.number).toBe(1)
  })
})

describe('a pod', () => {
  it('is bound to the Node of the plan, though the scheduler would spread pods', async () => {
    world = await createWorld({ gpus: [4, 4], behaviour: () => runs })
    await world.startController()
    const used = new Set<string | undefined>()
    for (const name of ['one', 'two', 'three', 'four']) {
      await world.createJob({}, name)
      const job = await until(world, { name, type: 'PodsReady', is: 'True/Running' })
      used.add(job.status?.attempt?.nodeName)
    }
    expect([...used]).toHaveLength(1)
    expect(used).not.toContain(undefined)
  })

  it('that is lost with its Node is replaced by the next attempt', async () => {
    world = await createWorld({
      gpus: [1, 1],
      behaviour: (attempt) => (attempt === 1 ? runs : completes),
    })
    await world.startController()
    await world.createJob({ backoffLimit: 0 })
    const before = await until(world, { type: 'PodsReady', is: 'True/Running' })
    await loseNode(before.status?.attempt?.nodeName)
    const job = await until(world, { type: 'Succeeded', is: 'True/Completed' })
    expect(job.status).toMatchObject({ attempt: { number: 2 }, disruptedAttempts: 1 })
    expect(job.status?.attempt?.podUID).not.toBe(before.status?.attempt?.podUID)
  })

  it('that is deleted by hand does not count against the back-off limit', async () => {
    world = await createWorld({ behaviour: (attempt) => (attempt === 1 ? {} : completes) })
    await world.startController()
    await world.createJob({ backoffLimit: 0 })
    const { status } = await until(world, { type: 'PodsReady', is: 'True/Running' })
    const { podName = '' } = status?.attempt ?? {}
    await deleteObject(world.admin, pods, { name: podName, namespace: world.namespace })
    const job = await until(world, { type: 'Succeeded', is: 'True/Completed' })
    expect(job.status).toMatchObject({ attempt: { number: 2 }, disruptedAttempts: 1 })
  })
})

/** What the pod garbage collector does for the pods of a Node that no longer exists. */
async function loseNode(name: string | undefined): Promise<void> {
  await world.nodes.find((node) => node.name === name)?.remove()
  const all = await listObjects(world.admin, pods, { namespace: world.namespace })
  for (const pod of all.filter(({ spec }) => spec?.nodeName === name)) {
    await setStatus(world.admin, pod, {
      phase: 'Failed',
      conditions: [{ type: 'DisruptionTarget', status: 'True', reason: 'DeletionByPodGC' }],
    })
    const { name: podName, namespace } = pod.metadata
    await deleteObject(world.admin, pods, { name: podName, namespace, graceSeconds: 0 })
  }
  await eventually(async () => {
    const left = await listObjects(world.admin, pods, { namespace: world.namespace })
    expect(left.filter(({ spec }) => spec?.nodeName === name)).toEqual([])
  })
}
