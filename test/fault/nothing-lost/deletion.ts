import { describe, expect, it } from 'vitest'
import { isNotFound } from '../../../src/platform/kube/errors.ts'
import { deleteObject, getObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { generationJobs, jobs, namespaces, pods } from '../../../src/platform/kube/resources.ts'
import type { Behaviour } from '../../integration/controller/kubelet.ts'
import { runs } from '../../integration/controller/scene.ts'
import type { World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import { expectQuiet } from './audit.ts'
import { faultTimeout, type FaultyWorld, inFaultyWorld, untilCondition } from './faulty-world.ts'

/**
 * The definition of the kind is not deleted: every world of the run keeps its jobs under it. For
 * the controller that would look like the deletion of every job, one by one.
 */
describe.concurrent('something is deleted while it runs', { timeout: faultTimeout }, () => {
  it(
    '23: a job, and what it runs goes with it',
    inFaultyWorld({ behaviour: () => runs }, playJobDeletion),
  )
  it('23: a namespace, with a pod in it that does not end', playStuckNamespace)
})

async function startRunning({ world, startController }: FaultyWorld) {
  await startController()
  await world.createJob()
  return await untilCondition(world, { type: 'PodsReady', is: 'True/Running' })
}

async function untilGone(read: () => Promise<unknown>): Promise<void> {
  await eventually(async () => await expect(read()).rejects.toSatisfy(isNotFound), faultTimeout / 2)
}

async function podsOf({ admin, namespace }: World) {
  return await listObjects(admin, pods, { namespace })
}

async function playJobDeletion(faulty: FaultyWorld): Promise<void> {
  const { world, scene } = faulty
  const job = await startRunning(faulty)
  // Nothing of ours keeps an object: whatever happens to the controller, it can be deleted.
  expect(job.metadata).not.toHaveProperty('finalizers')
  scene.willBeDeleted('job')
  const { namespace } = world
  await deleteObject(world.admin, generationJobs, { name: 'job', namespace })
  await untilGone(async () => await world.getJob('job'))
  // A garbage collector that has just started learns of our kinds within half a minute.
  await eventually(async () => {
    expect(await podsOf(world)).toEqual([])
    expect(await world.attemptNames()).toEqual([])
  }, faultTimeout / 2)
}

async function playStuckNamespace(): Promise<void> {
  let isFrozen = false
  const attempts = new Set<number>()
  const behaviour = (attempt: number): Behaviour => {
    attempts.add(attempt)
    return { ...runs, isFrozen }
  }
  const play = inFaultyWorld({ behaviour }, async (faulty) => {
    await playNamespaceDeletion(faulty, (frozen) => {
      isFrozen = frozen
    })
  })
  await play()
  expect([...attempts]).toEqual([1])
}

async function playNamespaceDeletion(
  faulty: FaultyWorld,
  freeze: (frozen: boolean) => void,
): Promise<void> {
  const { world, scene } = faulty
  const before = await startRunning(faulty)
  freeze(true)
  scene.willBeDeleted('job')
  const { admin, namespace: name } = world
  await deleteObject(admin, namespaces, { name })
  // Kubernetes deletes the pods of a namespace first, and nothing else while one of them is there.
  await eventually(async () => {
    const [pod, ...others] = await podsOf(world)
    expect(pod?.metadata.deletionTimestamp).toBeDefined()
    expect(others).toEqual([])
    const [job] = await listObjects(admin, jobs, { namespace: name })
    expect(job?.status?.terminating).toBe(1)
  })
  // Nobody does anything about that over and over, and nothing starts beside it.
  await expectQuiet(scene)
  expect((await world.getJob('job')).status?.attempt).toEqual(before.status?.attempt)
  expect(await world.attemptNames()).toHaveLength(1)
  expect((await getObject(admin, namespaces, { name })).status?.phase).toBe('Terminating')
  freeze(false)
  await untilGone(async () => await getObject(admin, namespaces, { name }))
}
