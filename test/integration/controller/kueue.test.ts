import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sleep } from '../../../src/platform/clock/sleep.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { eventually } from '../../support/eventually.ts'
import { type RunningKueue, startKueue } from '../../support/kueue/start.ts'
import { openAdminClient } from '../../support/kube.ts'
import type { Behaviour } from './kubelet.ts'
import { attemptsIn, createQueuedJob, giveQueue, giveQuota, setActive } from './kueue-scene.ts'
import { completes, conditionOf, messageOf, runs, statusWrites, until } from './scene.ts'
import { createWorld, type World, type WorldOptions } from './world.ts'

/** Building it takes minutes where nobody has done it before. */
const buildTimeoutMs = 30 * 60_000

/** Its controller has been there since before Kueue. */
let early: World
let kueue: RunningKueue
let admin: KubeClient

const never = new AbortController().signal

function secondCompletes(attempt: number): Behaviour {
  return attempt === 1 ? runs : completes
}

type Options = WorldOptions & { readonly through?: (client: KubeClient) => KubeClient }

async function inWorld({ through, ...options }: Options, work: (world: World) => Promise<void>) {
  const world = await createWorld(options)
  try {
    await world.startController(through)
    await work(world)
  } finally {
    await world.close()
  }
}

/** Of Workloads nothing is seen but what the first list has shown: none. */
function blindly(client: KubeClient): KubeClient {
  return {
    ...client,
    stream: async (asked) => {
      if (asked.path.endsWith('/workloads')) await sleep(asked.silenceMs, asked.signal ?? never)
      return await client.stream(asked)
    },
  }
}

async function untilWaiting(world: World, message: string, name = 'job') {
  return await eventually(async () => {
    const job = await until(world, { name, type: 'Admitted', is: 'False/WaitingForQuota' })
    expect(messageOf(job, 'Admitted')).toContain(message)
    return job
  })
}

beforeAll(async () => {
  admin = openAdminClient()
  early = await createWorld({ behaviour: () => completes })
  await early.startController()
})

afterAll(async () => {
  await early.close()
  await admin.close()
})

describe('without Kueue', () => {
  it('a job that names a queue is served as any other', async () => {
    const { metadata } = await createQueuedJob(early, { name: 'before' })
    await until(early, { name: 'before', type: 'Succeeded', is: 'True/Completed' })
    const attempts = await attemptsIn(early, metadata.uid)
    expect(attempts).toEqual([{ number: 1, queue: undefined, suspended: false }])
  })
})

describe('with Kueue', () => {
  beforeAll(async () => {
    kueue = await startKueue(admin)
  }, buildTimeoutMs)

  afterAll(async () => {
    await kueue.stop()
  })

  describe.concurrent('a job that names a queue', () => {
    it('waits for its quota while GPUs are free, until the first has ended', async () => {
      const behaviours = new Map<string, Behaviour>()
      const behaviour: WorldOptions['behaviour'] = (_, job) => behaviours.get(job) ?? runs
      await inWorld({ gpus: [2], behaviour }, async (world) => {
        await giveQuota(world, 1)
        await createQueuedJob(world, { name: 'first' })
        await until(world, { name: 'first', type: 'PodsReady', is: 'True/Running' })
        const { metadata } = await createQueuedJob(world, { name: 'second' })
        const waiting = await untilWaiting(world, 'insufficient unused quota', 'second')
        expect(conditionOf(waiting, 'CreditsReserved')).toBe('True/Reserved')
        expect(statusWrites(world, 'second')).toBeLessThanOrEqual(2)
        const attempts = await attemptsIn(world, metadata.uid)
        expect(attempts).toEqual([{ number: 1, queue: 'team', suspended: true }])
        behaviours.set('first', completes).set('second', completes)
        await until(world, { name: 'first', type: 'Succeeded', is: 'True/Completed' })
        const second = await until(world, {
          name: 'second',
          type: 'Succeeded',
          is: 'True/Completed',
        })
        expect(second.status).toMatchObject({ attempt: { number: 1 }, summary: '1/1' })
        expect(second.status?.disruptedAttempts).toBeUndefined()
      })
    })

    it('can be cancelled, and suspended, while it waits', async () => {
      await inWorld({}, async (world) => {
        await giveQuota(world, 0)
        const { metadata } = await createQueuedJob(world)
        await untilWaiting(world, 'insufficient quota')
        await world.patchSpec('job', { suspend: true })
        await until(world, { type: 'Admitted', is: 'False/Suspended' })
        await eventually(async () => expect(await attemptsIn(world, metadata.uid)).toEqual([]))
        await world.patchSpec('job', { suspend: false })
        await untilWaiting(world, 'insufficient quota')
        await world.patchSpec('job', { cancel: true })
        await until(world, { type: 'Succeeded', is: 'False/Cancelled' })
        await eventually(async () => expect(await attemptsIn(world, metadata.uid)).toEqual([]))
      })
    })

    it('says that its queue does not exist, and starts when it does', async () => {
      await inWorld({ behaviour: () => completes }, async (world) => {
        await createQueuedJob(world)
        await untilWaiting(world, 'LocalQueue team doesn')
        await giveQuota(world, 1)
        const job = await until(world, { type: 'Succeeded', is: 'True/Completed' })
        expect(job.status?.attempt?.number).toBe(1)
      })
    })

    it.each([
      ['', undefined],
      [', also when only the Job shows it', blindly],
    ])('loses its pod when its Workload is deactivated until that ends%s', async (_, through) => {
      await inWorld({ behaviour: secondCompletes, through }, async (world) => {
        // The first Workload may get its quota back before it is collected as garbage, which takes
        // half a minute where its kind is new.
        await giveQuota(world, 2)
        const { metadata } = await createQueuedJob(world, { spec: { backoffLimit: 0 } })
        const { uid } = metadata
        await until(world, { type: 'PodsReady', is: 'True/Running' })
        await setActive(world, uid, false)
        const paused = await untilWaiting(world, 'The workload is deactivated')
        expect(paused.status?.attempt?.number).toBe(1)
        await eventually(async () => {
          const { status } = await world.getJob('job')
          expect(status?.attempt?.startTime).toBeUndefined()
        })
        await setActive(world, uid, true)
        const ended = await until(world, { type: 'Succeeded', is: 'True/Completed' })
        expect(ended.status).toMatchObject({ attempt: { number: 2 }, disruptedAttempts: 1 })
        expect((await attemptsIn(world, uid)).map(({ number }) => number)).toEqual([2])
        expect(world.api.held.size).toBe(1)
      })
    })

    it('is refused when the name is none, naming the label', async () => {
      await inWorld({}, async (world) => {
        await createQueuedJob(world, { queue: 'Team_A' })
        const job = await until(world, { type: 'Succeeded', is: 'False/InvalidInput' })
        expect(messageOf(job, 'Succeeded')).toContain('metadata.labels[kueue.x-k8s.io/queue-name]')
      })
    })
  })

  it('a job that names no queue does not notice it', async () => {
    const { metadata } = await early.createJob({}, 'other')
    await until(early, { name: 'other', type: 'Succeeded', is: 'True/Completed' })
    const attempts = await attemptsIn(early, metadata.uid)
    expect(attempts).toEqual([{ number: 1, queue: undefined, suspended: false }])
  })

  it('a job that asks for it tells a controller that was there before', async () => {
    await createQueuedJob(early, { name: 'after' })
    const waiting = await untilWaiting(early, 'LocalQueue team doesn', 'after')
    expect(conditionOf(waiting, 'CreditsReserved')).toBe('True/Reserved')
  })

  it('that is taken away, a job that waited for it is served as any other', async () => {
    await kueue.stop()
    const job = await until(early, { name: 'after', type: 'Succeeded', is: 'True/Completed' })
    expect(job.status).toMatchObject({ attempt: { number: 2 } })
    await giveQueue(early).then(
      () => expect.fail('Kueue is still there'),
      () => undefined,
    )
  }, 180_000)
})
