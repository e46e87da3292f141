import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Kueue } from '../../../../src/controller/kueue/kueue.ts'
import type { Workload } from '../../../../src/controller/kueue/workload.ts'
import { KUEUE_LIST_MS } from '../../../../src/controller/limits.ts'
import { systemClock } from '../../../../src/platform/clock/system-clock.ts'
import { sleep } from '../../../../src/platform/clock/sleep.ts'
import type { KubeClient, KubeRequest } from '../../../../src/platform/kube/client.ts'
import { kubeErrorOf } from '../../../../src/platform/kube/errors.ts'
import { at } from '../builders.ts'

beforeEach(() => {
  vi.useFakeTimers()
})

afterEach(() => {
  vi.useRealTimers()
})

const jobUid = '0a1b2c3d-0000-4000-8000-0000000000f1'
const group = '/apis/kueue.x-k8s.io'

/** An API server that serves Kueue's kinds, or not, and lists Workloads, or does not answer. */
class Cluster {
  version: string | undefined = 'v1beta2'
  /** Status of an answer to a list, or nothing for one that works. */
  listStatus: number | undefined
  /** Answers to lists come when this has ended. */
  listed: Promise<void> = Promise.resolve()
  active = true
  readonly changes: string[] = []
  readonly queries: unknown[] = []
  readonly kueue: Kueue
  /** Asked for once, and early, as a controller does that starts. */
  readonly synced: Promise<void>

  constructor() {
    const client: KubeClient = {
      server: 'http://none',
      request: async <T>(request: KubeRequest) => (await this.#answer(request)) as T,
      stream: async ({ signal }) => {
        await sleep(Infinity, signal ?? AbortSignal.abort())
        throw new Error('the watch has ended')
      },
      close: () => Promise.resolve(),
    }
    this.kueue = new Kueue({
      client,
      clock: systemClock,
      random: () => 0,
      onWorkload: (uid) => this.changes.push(uid),
      onChange: () => this.changes.push('Kueue'),
      onError: () => undefined,
    })
    this.synced = this.kueue.synced()
    this.synced.catch(() => undefined)
  }

  async #answer({ path, query, signal }: KubeRequest): Promise<unknown> {
    const { version } = this
    const known = version === undefined ? [] : [group, `${group}/${version}`]
    if (path === group && version !== undefined) return { preferredVersion: { version } }
    if (path === known[1]) return { resources: [{ name: 'workloads' }] }
    if (version === undefined || !path.startsWith(`${group}/${version}/`)) return refuse(404)
    this.queries.push(query?.['labelSelector'])
    await Promise.race([this.listed, signal && sleep(Infinity, signal)])
    if (this.listStatus !== undefined) return refuse(this.listStatus)
    return { metadata: { resourceVersion: '7' }, items: [workload(this.active)] }
  }
}

function refuse(status: number): never {
  throw kubeErrorOf({ status, body: undefined })
}

function workload(active: boolean): Workload {
  const owner = { apiVersion: 'batch/v1', kind: 'Job', name: `gj-${jobUid}-a1`, uid: jobUid }
  return {
    metadata: {
      name: 'w',
      uid: 'w',
      resourceVersion: '1',
      creationTimestamp: at(0),
      ownerReferences: [owner],
    },
    spec: { active },
  }
}

async function isKnown({ synced }: Cluster): Promise<boolean> {
  const known = synced.then(() => true)
  return await Promise.race([known, vi.advanceTimersByTimeAsync(0).then(() => false)])
}

async function whenStarted(play: (cluster: Cluster) => Promise<void>, before: Partial<Cluster>) {
  const cluster = Object.assign(new Cluster(), before)
  cluster.kueue.start()
  await vi.advanceTimersByTimeAsync(0)
  try {
    await play(cluster)
  } finally {
    await cluster.kueue.stop()
  }
}

describe('Kueue', () => {
  it('is known at once where it is not installed', async () => {
    await whenStarted(
      async (cluster) => {
        expect(await isKnown(cluster)).toBe(true)
        expect(cluster.kueue.isServed).toBe(false)
        expect(cluster.changes).toEqual([])
      },
      { version: undefined },
    )
  })

  it('is known, and told of, when its Workloads are', async () => {
    const { promise: listed, resolve } = Promise.withResolvers<void>()
    await whenStarted(
      async (cluster) => {
        expect(await isKnown(cluster)).toBe(false)
        expect(cluster.kueue.isSynced()).toBe(false)
        expect(cluster.changes).toEqual([])
        resolve()
        expect(await isKnown(cluster)).toBe(true)
        expect(cluster.kueue.isSynced()).toBe(true)
        expect(cluster.kueue.workloadOf(jobUid)).toMatchObject({ active: true })
        expect(cluster.changes).toEqual([jobUid, 'Kueue'])
      },
      { listed },
    )
  })

  it.each([
    ['is uninstalled', undefined],
    ['moves on to another version', 'v1'],
  ])('is known also when it %s before its Workloads were listed', async (_, next) => {
    await whenStarted(
      async (cluster) => {
        expect(await isKnown(cluster)).toBe(false)
        cluster.version = next
        cluster.listStatus = undefined
        await vi.advanceTimersByTimeAsync(KUEUE_LIST_MS / 2)
        expect(await isKnown(cluster)).toBe(true)
        expect(cluster.kueue.isServed).toBe(next !== undefined)
      },
      { listStatus: 503 },
    )
  })

  it('holds nobody up for longer when its Workloads cannot be listed', async () => {
    await whenStarted(
      async (cluster) => {
        await vi.advanceTimersByTimeAsync(KUEUE_LIST_MS - 1)
        expect(await isKnown(cluster)).toBe(false)
        await vi.advanceTimersByTimeAsync(1)
        expect(await isKnown(cluster)).toBe(true)
        expect(cluster.kueue.isServed).toBe(true)
        await expect(cluster.kueue.findWorkload({ uid: jobUid })).rejects.toThrow('503')
      },
      { listStatus: 503 },
    )
  })

  it('is told of again only when the Workloads of a new version are known', async () => {
    await whenStarted(async (cluster) => {
      expect(cluster.changes.splice(0)).toEqual([jobUid, 'Kueue'])
      const { promise: listed, resolve } = Promise.withResolvers<void>()
      Object.assign(cluster, { version: 'v1', listed })
      await vi.advanceTimersByTimeAsync(300_000)
      expect(cluster.changes).toEqual([])
      resolve()
      await vi.advanceTimersByTimeAsync(0)
      expect(cluster.changes).toEqual([jobUid, 'Kueue'])
    }, {})
  })

  it('is asked for what the watch does not show yet', async () => {
    await whenStarted(async (cluster) => {
      cluster.active = false
      expect(cluster.kueue.workloadOf(jobUid)).toMatchObject({ active: true })
      const found = await cluster.kueue.findWorkload({ uid: jobUid, namespace: 'vision' })
      expect(found).toMatchObject({ active: false })
      expect(cluster.queries.at(-1)).toBe(`kueue.x-k8s.io/job-uid=${jobUid}`)
    }, {})
  })

  it('ends at once, whatever it waits for', async () => {
    await whenStarted(
      async ({ kueue, synced }) => {
        await kueue.stop()
        await expect(synced).rejects.toThrow('the controller stops')
      },
      { listed: new Promise(() => undefined) },
    )
  })
})
