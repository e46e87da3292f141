import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { findCondition } from '../../../src/controller/conditions.ts'
import { isInvalid, unlessNotFound } from '../../../src/platform/kube/errors.ts'
import { deleteObject, getObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { jobs, nodes, type Pod, pods } from '../../../src/platform/kube/resources.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import type { Behaviour } from '../../integration/controller/kubelet.ts'
import { createNode, type TestNode } from '../../integration/controller/nodes.ts'
import {
  completes,
  fails,
  messageOf,
  output,
  reportWith,
} from '../../integration/controller/scene.ts'
import type { World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import { longTests } from '../../support/long.ts'
import { expectQuiet } from './audit.ts'
import { faultTimeout, type FaultyWorld, inFaultyWorld, untilCondition } from './faulty-world.ts'

describe.concurrent('pods that do not do as they should', { timeout: faultTimeout }, () => {
  it('20: a node freezes, and what ran there may still run', playFreeze)
  it(
    '21: containers are killed for memory, fail, refuse their input, and have no image',
    inFaultyWorld({ gpus: [8], behaviour: exits }, playExits),
  )
  it('22: there is no GPU, and then there is one', playWait)
})

async function podOf(world: World, job: GenerationJob): Promise<Pod> {
  const name = job.status?.attempt?.podName ?? ''
  return await getObject(world.admin, pods, { namespace: world.namespace, name })
}

/**
 * The real patience of Kubernetes in the long set: 50 s until a Node is not ready, 300 s until its
 * pods are evicted. Otherwise the Node says so itself, and the test evicts.
 */
async function loseNode(world: World, node: TestNode, pod: Pod): Promise<void> {
  const { name, namespace } = pod.metadata
  if (longTests) node.freeze()
  else await node.setReady(false)
  await eventually(async () => {
    const { status } = await getObject(world.admin, nodes, { name: node.name })
    const ready = status?.conditions?.find(({ type }) => type === 'Ready')
    expect(ready?.status).not.toBe('True')
  }, 120_000)
  if (!longTests) await deleteObject(world.admin, pods, { name, namespace })
  await eventually(async () => {
    const { metadata } = await getObject(world.admin, pods, { name, namespace })
    expect(metadata.deletionTimestamp).toBeDefined()
    const [job] = await listObjects(world.admin, jobs, { namespace: world.namespace })
    expect(job?.status?.terminating).toBe(1)
  }, 400_000)
}

/** What the containers of both attempts do now. */
type Course = { isFrozen: boolean; isDone: boolean }

async function playFreeze(): Promise<void> {
  const course: Course = { isFrozen: false, isDone: false }
  const attempts = new Set<number>()
  const behaviour = (attempt: number): Behaviour => {
    attempts.add(attempt)
    if (attempt === 1) return { isFrozen: course.isFrozen }
    return course.isDone ? completes : {}
  }
  const play = inFaultyWorld({ gpus: [1, 1], behaviour }, async (faulty) => {
    await playFrozenNode(faulty, course)
  })
  await play()
  expect([...attempts]).toEqual([1, 2])
}

async function playFrozenNode(faulty: FaultyWorld, course: Course): Promise<void> {
  const { world, scene, startController } = faulty
  await startController()
  const { metadata } = await world.createJob()
  const before = await untilCondition(world, { type: 'PodsReady', is: 'True/Running' })
  const pod = await podOf(world, before)
  const node = world.nodes.find(({ name }) => name === pod.spec?.nodeName)
  course.isFrozen = true
  await loseNode(world, node!, pod)

  // For all that anybody knows the container goes on: nothing starts beside it.
  await expectQuiet(scene)
  expect((await world.getJob('job')).status?.attempt).toEqual(before.status?.attempt)
  expect(await world.attemptNames()).toEqual([`gj-${metadata.uid}-a1`])

  // As the pod's garbage collector does once its Node is gone for good.
  await node!.remove()
  await failPod(world, pod)
  const second = await secondAttempt(world)
  expect(second?.nodeName).not.toBe(node!.name)

  // The container was alive after all and says so, while the next attempt runs and after its end.
  const late = reportWith('Completed', [{ ...output, name: 'late.png' }])
  world.api.setReport(metadata.uid, 1, late)
  course.isDone = true
  await untilCondition(world, { type: 'Succeeded', is: 'True/Completed' })
  world.api.setReport(metadata.uid, 1, { ...late, message: 'once more' })
  // Whatever the controller makes of a wish that comes too late, it looks at the job once more.
  await world.patchSpec('job', { cancel: true })
  const { status } = await eventually(async () => {
    const job = await world.getJob('job')
    expect(job.status?.observedGeneration).toBe(job.metadata.generation)
    return job
  })
  expect(status).toMatchObject({ disruptedAttempts: 1, outputs: [output], summary: '1/1' })
  expect(status?.attempt).toEqual({ ...second, outcome: 'Completed' })
}

async function secondAttempt(world: World) {
  return await eventually(async () => {
    const job = await untilCondition(world, { type: 'PodsReady', is: 'True/Running' })
    expect(job.status?.attempt).toMatchObject({ number: 2, podUID: expect.any(String) })
    return job.status?.attempt
  })
}

async function failPod(world: World, { metadata, status }: Pod): Promise<void> {
  const { name, namespace } = metadata
  const target = {
    type: 'DisruptionTarget',
    status: 'True',
    reason: 'DeletionByPodGC',
    message: 'PodGC: node no longer exists',
    lastTransitionTime: new Date().toISOString(),
  }
  const conditions = [...(status?.conditions ?? []), target]
  const patch = { status: { phase: 'Failed', conditions } }
  await world.admin
    .request({
      method: 'PATCH',
      path: `/api/v1/namespaces/${namespace}/pods/${name}/status`,
      contentType: 'application/merge-patch+json',
      body: patch,
    })
    .catch(unlessNotFound)
  await deleteObject(world.admin, pods, { name, namespace, graceSeconds: 0 }).catch(unlessNotFound)
}

const exitOf: Readonly<Record<string, Behaviour>> = {
  memory: { exit: { code: 137, reason: 'OOMKilled' } },
  failing: fails,
  input: { exit: { code: 20 } },
  image: { waitingReason: 'ErrImagePull' },
  killed: { exit: { code: 137 } },
}

function exits(attempt: number, name: string): Behaviour {
  if (name === 'killed' && attempt === 3) return completes
  return exitOf[name] ?? completes
}

const endings = [
  // Name, back-off limit, end, attempts.
  ['memory', 1, 'False/BackoffLimitExceeded', 2],
  ['failing', 2, 'False/BackoffLimitExceeded', 3],
  ['input', 2, 'False/InvalidInput', 1],
  ['image', 2, 'False/QueueTimeout', 1],
  ['killed', 0, 'True/Completed', 3],
] as const

async function playExits({ world, startController }: FaultyWorld): Promise<void> {
  await startController()
  for (const [name, backoffLimit] of endings) {
    await world.createJob({ backoffLimit, queueTimeoutSeconds: 3600 }, name)
  }
  await eventually(async () => {
    expect((await world.getJob('image')).status?.attempt?.podName).toBeDefined()
  })
  await world.patchSpec('image', { queueTimeoutSeconds: 1 })
  for (const [name, backoffLimit, is, number] of endings) {
    const { status } = await untilCondition(world, { type: 'Succeeded', is, name })
    const { failedAttempts = 0, attempt, outputs = [], conditions } = status ?? {}
    expect({ name, number: attempt?.number, outputs }).toEqual({
      name,
      number,
      outputs: name === 'killed' ? [output] : [],
    })
    expect(failedAttempts).toBeLessThanOrEqual(backoffLimit)
    expect(findCondition(conditions, 'PodsReady')).toMatchObject({ reason: 'Ended' })
  }
  expect(messageOf(await world.getJob('memory'), 'Succeeded')).toContain('memory')
  expect(messageOf(await world.getJob('failing'), 'Succeeded')).toContain('the pod says Failed')
  expect((await world.getJob('killed')).status?.disruptedAttempts).toBe(2)
}

const noGpuMs = longTests ? 600_000 : 0
const completed = { type: 'Succeeded', is: 'True/Completed' } as const
const inTurn = ['high-first', 'high-second', 'low-first', 'low-second'] as const

async function playWait(): Promise<void> {
  const started: string[] = []
  const behaviour = (_: number, name: string) => {
    if (!started.includes(name)) started.push(name)
    return completes
  }
  const play = inFaultyWorld({ gpus: [], behaviour }, async (faulty) => {
    await playNoCapacity(faulty)
  })
  await play()
  expect(started).toEqual(inTurn)
}

function priorityOf(name: string) {
  return { priority: name.startsWith('high') ? 80 : 20 }
}

async function playNoCapacity(faulty: FaultyWorld): Promise<void> {
  const { world, startController, onClose } = faulty
  await startController()
  await world.createJob(priorityOf('low'), 'low-first')
  const { metadata } = await world.createJob(priorityOf('high'), 'high-first')
  // Kubernetes writes times in whole seconds: within one, nobody knows who came first.
  await eventually(() => {
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(metadata.creationTimestamp) + 1000)
  })
  for (const name of ['low-second', 'high-second']) await world.createJob(priorityOf(name), name)
  await world.createJob({ queueTimeoutSeconds: 3 }, 'expiring')
  for (const name of inTurn) {
    const job = await untilCondition(world, { type: 'Admitted', is: 'False/Queued', name })
    expect(messageOf(job, 'Admitted')).not.toBe('')
    expect(job.status?.attempt).toBeUndefined()
  }
  const expired = await untilCondition(world, {
    type: 'Succeeded',
    is: 'False/QueueTimeout',
    name: 'expiring',
  })
  await sleep(noGpuMs)
  const pool = world.namespace.replace('ctl-', '')
  const node = await createNode(world.admin, { name: `${world.namespace}-late`, pool, gpus: 1 })
  onClose(node.remove)
  for (const name of inTurn) await untilCondition(world, { ...completed, name })
  // The Node comes too late for this one, and so does whoever wants it to run.
  await expect(revive(world)).rejects.toSatisfy(isInvalid)
  expect(await world.getJob('expiring')).toEqual(expired)
  expect(await world.attemptNames()).toHaveLength(inTurn.length)
}

/** An end is for good: the schema refuses to take it back. */
async function revive(world: World): Promise<void> {
  const conditions = (await world.getJob('expiring')).status?.conditions
  const revived = conditions?.map((one) => {
    return one.type === 'Succeeded' ? { ...one, status: 'Unknown', reason: 'Running' } : one
  })
  const path = `/apis/atelier.dev/v1alpha1/namespaces/${world.namespace}/generationjobs/expiring`
  await world.admin.request({
    method: 'PATCH',
    path: `${path}/status`,
    contentType: 'application/merge-patch+json',
    body: { status: { conditions: revived } },
  })
}
