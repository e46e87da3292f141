import { expect } from 'vitest'
import { findCondition } from '../../../src/controller/conditions.ts'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import { isNotFound } from '../../../src/platform/kube/errors.ts'
import {
  createObject,
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
} from '../../../src/platform/kube/objects.ts'
import {
  deployments,
  modelPools,
  pathOf,
  type Pod,
  pods,
  secrets,
} from '../../../src/platform/kube/resources.ts'
import { timestamp } from '../../../src/shared/clock.ts'
import {
  type ModelPool,
  type ModelPoolSpec,
  modelPoolSpec,
} from '../../../src/shared/crd/model-pool.ts'
import { jobContainerName } from '../../../src/shared/domain/pod-contract.ts'
import { labels } from '../../../src/shared/names.ts'
import { eventually } from '../../support/eventually.ts'
import { setStatus } from './kubelet.ts'
import type { World } from './world.ts'

const POLL_MS = 60

/**
 * Plays the kubelet for pods of pools: bound by the real scheduler, they become ready as if their
 * probes answered. The world's own kubelet ends pods that are deleted.
 */
export function startPoolKubelet(client: KubeClient, namespace: string) {
  const stopping = new AbortController()
  const run = async () => {
    while (!stopping.signal.aborted) {
      const all = await listObjects(client, pods, { namespace, labelSelector: labels.pool })
      await Promise.all(all.map(async (pod) => await startPod(client, pod)))
      await new Promise((resolve) => {
        setTimeout(resolve, POLL_MS)
      })
    }
  }
  const finished = run()
  return {
    stop: async () => {
      stopping.abort()
      await finished
    },
  }
}

async function startPod(client: KubeClient, pod: Pod): Promise<void> {
  const isNew = pod.status?.phase === 'Pending' && pod.spec?.nodeName !== undefined
  if (!isNew || pod.metadata.deletionTimestamp !== undefined) return
  const startedAt = timestamp(Date.now())
  const condition = { status: 'True', lastTransitionTime: startedAt }
  const container = { image: 'test', imageID: '', ready: true, restartCount: 0 }
  const state = { running: { startedAt } }
  try {
    await setStatus(client, pod, {
      phase: 'Running',
      podIP: '127.254.254.254',
      podIPs: [{ ip: '127.254.254.254' }],
      conditions: ['PodScheduled', 'ContainersReady', 'Ready'].map((type) => {
        return { type, ...condition }
      }),
      containerStatuses: [{ name: jobContainerName, ...container, state }],
    })
  } catch (error) {
    if (!isNotFound(error)) throw error
  }
}

/** The kubelet says since when it is ready, which is what Kubernetes goes by: an hour longer. */
export async function makeOlder(client: KubeClient, pod: Pod): Promise<void> {
  const lastTransitionTime = timestamp(Date.now() - 3_600_000)
  const conditions = pod.status?.conditions?.map((each) => ({ ...each, lastTransitionTime }))
  await setStatus(client, pod, { conditions })
}

/** A garbage collector that has just started learns of our kinds within half a minute. */
export const collectedWithinMs = 90_000

/** One pool of a world, by its name. */
export type PoolScene = ReturnType<typeof poolScene>

export function poolScene({ admin, namespace, model }: World, name: string) {
  const ref = { name, namespace }
  const get = async () => await getObject(admin, modelPools, ref)
  return {
    /** Of the world's Model; the schema fills in the rest. */
    create: async (spec: Partial<ModelPoolSpec> = {}): Promise<ModelPool> =>
      await createObject(admin, modelPools, {
        metadata: ref,
        spec: modelPoolSpec.parse({ models: [{ name: model }], ...spec }),
      }),
    patch: async (patch: object) => await mergePatch(admin, modelPools, { ...ref, patch }),
    /** As `kubectl scale` and autoscalers do. */
    scale: async (replicas: number) =>
      await admin.request({
        method: 'PATCH',
        path: pathOf(modelPools, { ...ref, subresource: 'scale' }),
        contentType: 'application/merge-patch+json',
        body: { spec: { replicas } },
      }),
    get,
    remove: async () => await deleteObject(admin, modelPools, ref),
    /** Waits until the condition Ready is as expected, such as `True/Ready`. */
    until: async (expected: string) =>
      await eventually(async () => {
        const pool = await get()
        const ready = findCondition(pool.status?.conditions, 'Ready')
        expect(`${ready?.status}/${ready?.reason}`).toBe(expected)
        expect(pool.status?.observedGeneration).toBe(pool.metadata.generation)
        return pool
      }),
    deployment: async () => await getObject(admin, deployments, { ...ref, name: `pool-${name}` }),
    key: async () => await getObject(admin, secrets, { ...ref, name: `pool-${name}-key` }),
    /** Waits until so many pods are there and not being deleted. */
    untilPods: async (count: number) =>
      await eventually(async () => {
        const labelSelector = `${labels.pool}=${name}`
        const all = await listObjects(admin, pods, { namespace, labelSelector })
        const left = all.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
        expect(left).toHaveLength(count)
        return left
      }),
  }
}

export function poolMessage(pool: ModelPool): string {
  return findCondition(pool.status?.conditions, 'Ready')?.message ?? ''
}
