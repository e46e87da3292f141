import { afterEach, describe, expect, it } from 'vitest'
import { getObject } from '../../../src/platform/kube/objects.ts'
import { pods } from '../../../src/platform/kube/resources.ts'
import { annotations } from '../../../src/shared/names.ts'
import { eventually } from '../../support/eventually.ts'
import { type FakePoolPods, startFakePoolPods } from './fake-pool-pods.ts'
import { makeOlder, poolScene } from './pool-scene.ts'
import { output, reportWith, until } from './scene.ts'
import { createWorld, type World } from './world.ts'

let world: World
let fakes: FakePoolPods

afterEach(async () => {
  await fakes.close()
  await world.close()
})

/** A pool of two ready pods, and a job in one of them; the number is still set by hand. */
async function startShrinking(ended: Promise<void>) {
  world = await createWorld({ gpus: [2] })
  const { admin, api, namespace } = world
  fakes = startFakePoolPods({ client: admin, api, namespace })
  await world.startController()
  const pool = poolScene(world, 'shrinks')
  await pool.create({ minReplicas: 1, maxReplicas: 2, replicas: 2, idleSeconds: 1 })
  await pool.until('True/Ready')
  const found = await eventually(() => {
    expect(fakes.ready()).toHaveLength(2)
    return fakes.ready()
  })
  fakes.behave('job', { report: reportWith('Completed', [output]), until: ended })
  await world.createJob({ execution: 'Pooled' })
  const busy = await eventually(() => {
    const taken = found.find(({ begun }) => begun.includes('job/1'))
    if (taken === undefined) throw new Error('nobody has begun it')
    return taken
  })
  return { pool, busy, idle: found.find((pod) => pod !== busy) }
}

describe('a ModelPool that shrinks', () => {
  it('keeps the pod with a job, though Kubernetes by itself would end the younger', async () => {
    const ended = Promise.withResolvers<void>()
    const { pool, busy, idle } = await startShrinking(ended.promise)
    if (idle === undefined) throw new Error('one of two is idle')
    const { admin, namespace } = world
    await makeOlder(admin, await getObject(admin, pods, { namespace, name: idle.name }))
    await pool.patch({ spec: { replicas: null } })
    const [left] = await pool.untilPods(1)
    expect(left?.metadata.uid).toBe(busy.uid)
    expect(left?.metadata.annotations?.[annotations.podDeletionCost]).toBeUndefined()
    ended.resolve()
    const { status } = await until(world, { type: 'Succeeded', is: 'True/Completed' })
    expect(status?.attempt).toMatchObject({ number: 1, podUID: busy.uid })
    expect(fakes.begun()).toEqual(['job/1'])
    expect(fakes.violations()).toEqual([])
  })
})
