import { describe, expect, it } from 'vitest'
import { isNotFound } from '../../../src/platform/kube/errors.ts'
import { deleteObject, getObject, type ObjectPage } from '../../../src/platform/kube/objects.ts'
import { generationJobs, jobs, pathOf } from '../../../src/platform/kube/resources.ts'
import type { KubeObject } from '../../../src/platform/kube/types.ts'
import type { GenerationJob } from '../../../src/shared/crd/generation-job.ts'
import { labels } from '../../../src/shared/names.ts'
import type { Behaviour } from '../../integration/controller/kubelet.ts'
import { completes, runs } from '../../integration/controller/scene.ts'
import type { World } from '../../integration/controller/world.ts'
import { eventually } from '../../support/eventually.ts'
import type { SeenRequest, Verb } from '../../support/fault-proxy.ts'
import { faultTimeout, type FaultyWorld, inFaultyWorld, untilCondition } from './faulty-world.ts'

const everything = ''

/** Watches and lists of attempt Jobs and of their pods. */
const children = `labelSelector=${encodeURIComponent(labels.jobUid)}`

function madeJobs({ writes }: FaultyWorld): readonly SeenRequest[] {
  return writes().filter(({ method, url }) => method === 'POST' && url.endsWith('/jobs'))
}

function statusesOf(requests: readonly SeenRequest[]): readonly (number | undefined)[] {
  return requests.map(({ status }) => status)
}

describe.concurrent('a cache that is behind', { timeout: faultTimeout }, () => {
  it(
    '6: a second reconcile runs before the cache shows the pod that was just made',
    inFaultyWorld({ behaviour: () => completes }, async (faulty) => {
      const { world, proxy, startController } = faulty
      await startController()
      proxy.stayAt({ containing: children })
      const { metadata } = await world.createJob()
      await eventually(async () => {
        expect((await world.getJob('job')).status?.attempt?.number).toBe(1)
      })
      const looks = () => proxy.requests.filter(({ url }) => url.endsWith(`${metadata.uid}-a1`))
      for (const priority of [1, 2, 3]) {
        const before = looks().length
        await world.patchSpec('job', { priority })
        await eventually(() => expect(looks().length).toBeGreaterThan(before))
      }
      expect(statusesOf(madeJobs(faulty))).toEqual([201])
      proxy.catchUp()
      const job = await untilCondition(world, { type: 'Succeeded', is: 'True/Completed' })
      expect(job.status?.attempt?.number).toBe(1)
      expect(job.status?.disruptedAttempts).toBeUndefined()
      expect(statusesOf(madeJobs(faulty))).toEqual([201])
    }),
  )

  it(
    '6: a second reconcile knows nothing of what the first one wrote, and the name is taken',
    inFaultyWorld({ behaviour: () => completes }, async (faulty) => {
      const { world, proxy, startController } = faulty
      await startController()
      await world.createJob({ suspend: true })
      await untilCondition(world, { type: 'Admitted', is: 'False/Suspended' })
      const fallBehind = async () => {
        proxy.stayAt({ containing: everything })
        const rule = { verb: 'other', method: 'PATCH', containing: '/job/status' } as const
        proxy.inject({ ...rule, fault: { kind: 'Unanswered' } })
        return await Promise.resolve()
      }
      const rule = { verb: 'other', method: 'POST', containing: world.namespace } as const
      proxy.inject({ ...rule, fault: { kind: 'Delay', until: fallBehind } })
      await world.patchSpec('job', { suspend: false })
      await eventually(async () => {
        expect((await world.getJob('job')).status?.attempt?.number).toBe(1)
      })
      proxy.cutConnections()
      await eventually(() => expect(statusesOf(madeJobs(faulty))).toContain(409))
      proxy.catchUp()
      const job = await untilCondition(world, { type: 'Succeeded', is: 'True/Completed' })
      expect(job.status?.attempt?.number).toBe(1)
      expect(statusesOf(madeJobs(faulty)).filter((status) => status === 201)).toHaveLength(1)
      expect(await world.attemptNames()).toHaveLength(1)
    }),
  )

  it(
    '7: a new leader was told nothing of what the old one wrote',
    inFaultyWorld({ gpus: [4], behaviour: runsOrCompletes }, async (faulty) => {
      const { world, proxy, startController, writes } = faulty
      const names = ['cancelled', 'completed']
      for (const name of names) await world.createJob({}, name)
      const lead = Promise.withResolvers<void>()
      let isLeading = false
      const leadership = { leading: async () => await lead.promise, isLeading: () => isLeading }
      const standby = startController({ leadership })
      await untilWatching(faulty)
      proxy.stayAt({ containing: everything })
      const ended = await lookAfter(world)
      await world.createJob({}, 'later')
      isLeading = true
      lead.resolve()
      await standby
      await eventually(() => expect(writes()).not.toEqual([]))
      proxy.catchUp()
      await untilCondition(world, { type: 'Succeeded', is: 'True/Completed', name: 'later' })
      expect(await Promise.all(names.map(world.getJob))).toEqual(ended)
      expect(await world.attemptNames()).toHaveLength(2)
      expect(statusesOf(madeJobs(faulty))).toEqual([201])
    }),
  )

  it('8: a job is deleted and made again by the same name', async () => {
    let isAgain = false
    const options = { behaviour: () => (isAgain ? completes : runs) }
    const play = inFaultyWorld(options, async (faulty) => {
      const { world, proxy, scene, startController, writes } = faulty
      await startController()
      const { metadata: old } = await world.createJob()
      const { status } = await untilCondition(world, { type: 'PodsReady', is: 'True/Running' })
      const resourceVersion = await versionOf(world)
      proxy.stayAt({ containing: '/generationjobs?', resourceVersion })
      scene.willBeDeleted('job')
      await deleteObject(world.admin, generationJobs, { name: 'job', namespace: world.namespace })
      isAgain = true
      const { metadata } = await world.createJob()
      await untilGone(world, `gj-${old.uid}-a1`)
      // What is gone was the old one's: its status is to say so, and nobody has that status.
      await eventually(() => expect(statusesOf(writes())).toContain(409))
      expect((await world.getJob('job')).status).toBeUndefined()
      proxy.catchUp()
      const job = await untilCondition(world, { type: 'Succeeded', is: 'True/Completed' })
      expect(job.metadata.uid).toBe(metadata.uid)
      expect(job.status?.attempt?.number).toBe(1)
      expect(job.status?.attempt?.podUID).not.toBe(status?.attempt?.podUID)
      expect(job.status?.disruptedAttempts).toBeUndefined()
      expect(await world.attemptNames()).toEqual([`gj-${metadata.uid}-a1`])
    })
    await play()
  })
})

function runsOrCompletes(_attempt: number, name: string): Behaviour {
  return name === 'cancelled' ? runs : completes
}

/** The work of the old leader, until both jobs have ended and one of them is cleared away. */
async function lookAfter(world: World): Promise<readonly GenerationJob[]> {
  const old = await world.startController()
  await untilCondition(world, { type: 'PodsReady', is: 'True/Running', name: 'cancelled' })
  await world.patchSpec('cancelled', { cancel: true })
  const ended = [
    await untilCondition(world, { type: 'Succeeded', is: 'False/Cancelled', name: 'cancelled' }),
    await untilCondition(world, { type: 'Succeeded', is: 'True/Completed', name: 'completed' }),
  ]
  await eventually(async () => expect(await world.attemptNames()).toHaveLength(1))
  await old.stop()
  return ended
}

/** It has read everything there is, and would be told of what comes. */
async function untilWatching({ proxy }: FaultyWorld): Promise<void> {
  await eventually(() => {
    const answered = proxy.requests.filter(({ status }) => status === 200)
    const byVerb = Map.groupBy(answered, ({ verb }) => verb)
    const subjects = (verb: Verb) => new Set(byVerb.get(verb)?.map(({ url }) => subjectOf(url)))
    expect(subjects('list').size).toBeGreaterThan(5)
    expect(subjects('watch')).toEqual(subjects('list'))
  })
}

function subjectOf(url: string): string {
  const { pathname, searchParams } = new URL(url, 'http://proxy')
  return `${pathname}?${searchParams.get('labelSelector') ?? ''}`
}

async function versionOf({ admin, namespace }: World): Promise<string> {
  const path = pathOf(generationJobs, { namespace })
  const page = await admin.request<ObjectPage<KubeObject>>({ method: 'GET', path })
  return page.metadata.resourceVersion
}

async function untilGone({ admin, namespace }: World, name: string): Promise<void> {
  await eventually(async () => {
    await expect(getObject(admin, jobs, { name, namespace })).rejects.toSatisfy(isNotFound)
  })
}
