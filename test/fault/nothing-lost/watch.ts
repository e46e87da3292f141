import { describe, expect, it } from 'vitest'
import { isNotFound } from '../../../src/platform/kube/errors.ts'
import { deleteObject, getObject } from '../../../src/platform/kube/objects.ts'
import { generationJobs, type Pod, pods } from '../../../src/platform/kube/resources.ts'
import { labels } from '../../../src/shared/names.ts'
import type { Behaviour } from '../../integration/controller/kubelet.ts'
import { completes, runs } from '../../integration/controller/scene.ts'
import type { World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import type { FaultProxy, SeenRequest } from '../../support/fault-proxy.ts'
import { longTests } from '../../support/long.ts'
import { faultTimeout, type FaultyWorld, inFaultyWorld, untilCondition } from './faulty-world.ts'

/** The first attempt's pod is deleted while it runs, and says nothing to that. */
const vanishing = (attempt: number): Behaviour => (attempt === 1 ? {} : completes)

/** Watches that are asked to end early, so that the list between two of them comes soon. */
const soonListed = longTests ? {} : { relistMs: 1, watchSecondsMin: 10 }

async function untilPod(world: World, name = 'job'): Promise<Pod> {
  const { status } = await eventually(async () => {
    const job = await world.getJob(name)
    expect(job.status?.attempt?.podName).toBeDefined()
    return job
  })
  const ref = { namespace: world.namespace, name: status?.attempt?.podName ?? '' }
  return await getObject(world.admin, pods, ref)
}

async function removePod(world: World, { metadata }: Pod): Promise<void> {
  const { name, namespace } = metadata
  await deleteObject(world.admin, pods, { name, namespace })
  await eventually(async () => {
    await expect(getObject(world.admin, pods, { name, namespace })).rejects.toSatisfy(isNotFound)
  })
}

/** What is listed or watched: the path of a kind with a selector. */
function subjectOf({ url }: SeenRequest): string {
  const { pathname, searchParams } = new URL(url, 'http://proxy')
  return `${pathname}?${searchParams.get('labelSelector') ?? ''}`
}

/** The lists of what is watched as well. */
function listsBySubject({ requests }: FaultProxy): ReadonlyMap<string, readonly SeenRequest[]> {
  const watches = requests.filter(({ verb }) => verb === 'watch')
  const watched = new Set(watches.map(subjectOf))
  const lists = requests.filter((seen) => seen.verb === 'list' && watched.has(subjectOf(seen)))
  return Map.groupBy(lists, subjectOf)
}

function podLists(proxy: FaultProxy): number {
  const found = [...listsBySubject(proxy)].find(([key]) => key.endsWith(`/pods?${labels.jobUid}`))
  return found?.[1].length ?? 0
}

describe.concurrent('a watch that does not tell', { timeout: faultTimeout }, () => {
  it(
    '9: the event that a pod was deleted never comes',
    inFaultyWorld({ behaviour: vanishing }, async ({ world, proxy, startController }) => {
      await startController({ watchLimits: soonListed })
      await world.createJob()
      const pod = await untilPod(world)
      const dropped: string[] = []
      proxy.alterEvents((line) => {
        const isEnd = line.includes(pod.metadata.uid) && line.includes('deletionTimestamp')
        if (!isEnd || !line.includes('"kind":"Pod"')) return line
        dropped.push(line)
        return undefined
      })
      const before = podLists(proxy)
      await removePod(world, pod)
      await eventually(() => expect(dropped.at(-1)).toMatch(/^{"type":"DELETED"/))
      const job = await untilCondition(world, { type: 'Succeeded', is: 'True/Completed' })
      expect(podLists(proxy)).toBeGreaterThan(before)
      expect(job.status).toMatchObject({ disruptedAttempts: 1, attempt: { number: 2 } })
      expect(job.status?.failedAttempts).toBeUndefined()
    }),
  )

  it(
    '10: a job is cancelled while its watch is down, and the watch does not come back',
    inFaultyWorld({ behaviour: () => runs }, async ({ world, proxy, startController }) => {
      await startController()
      await world.createJob()
      await untilCondition(world, { type: 'PodsReady', is: 'True/Running' })
      const fault = { kind: 'Status', status: 500 } as const
      proxy.inject({ verb: 'watch', fault, times: Infinity, containing: '/generationjobs?' })
      const watches = () =>
        proxy.requests.filter(({ url, verb, fault: met }) => {
          return verb === 'watch' && url.includes('/generationjobs?') && met === undefined
        })
      const before = watches().length
      proxy.cutConnections()
      await world.patchSpec('job', { cancel: true })
      await eventually(async () => {
        const name = (await world.getJob('job')).status?.attempt?.podName ?? ''
        const gone = getObject(world.admin, pods, { namespace: world.namespace, name })
        await expect(gone).rejects.toSatisfy(isNotFound)
      })
      expect(watches()).toHaveLength(before)
      proxy.clearFaults()
      const job = await untilCondition(world, { type: 'Succeeded', is: 'False/Cancelled' })
      expect(job.status?.outputs).toHaveLength(1)
      expect(await world.attemptNames()).toEqual([])
    }),
  )

  it(
    '11: positions are too old, in mid-stream and then at connect',
    inFaultyWorld({ gpus: [4], behaviour: compacted }, playCompaction),
  )
})

function compacted(attempt: number, name: string): Behaviour {
  if (name === 'vanishes') return vanishing(attempt)
  return name === 'deleted' ? runs : completes
}

async function playCompaction(faulty: FaultyWorld): Promise<void> {
  const { world, proxy, scene, startController } = faulty
  await startController()
  await world.createJob({}, 'vanishes')
  await world.createJob({}, 'deleted')
  const [leaving] = await Promise.all([untilPod(world, 'vanishes'), untilPod(world, 'deleted')])
  proxy.freezeWatches()
  await removePod(world, leaving)
  scene.willBeDeleted('deleted')
  const { namespace } = world
  await deleteObject(world.admin, generationJobs, { namespace, name: 'deleted' })
  await world.createJob({}, 'new')
  const subjects = listsBySubject(proxy)
  for (const subject of subjects.keys()) {
    const [path = ''] = subject.split('?')
    proxy.inject({
      verb: 'watch',
      fault: { kind: 'Status', status: 410 },
      containing: `${path}?`,
    })
  }
  const expiredMs = Date.now()
  proxy.expireWatches()

  const vanished = await untilCondition(world, {
    type: 'Succeeded',
    is: 'True/Completed',
    name: 'vanishes',
  })
  expect(vanished.status).toMatchObject({ disruptedAttempts: 1, attempt: { number: 2 } })
  await untilCondition(world, { type: 'Succeeded', is: 'True/Completed', name: 'new' })
  await eventually(() => {
    const counts = [...listsBySubject(proxy).values()].map(({ length }) => length)
    expect(counts).toEqual(counts.map(() => 3))
  })
  // Each list comes after a step of the back-off: 0.8 s, then 1.6 s.
  for (const [, second, third] of listsBySubject(proxy).values()) {
    expect(second!.atMs - expiredMs).toBeGreaterThanOrEqual(790)
    expect(third!.atMs - second!.atMs).toBeGreaterThanOrEqual(1590)
  }
  expect(listsBySubject(proxy).size).toBeGreaterThanOrEqual(10)
}
