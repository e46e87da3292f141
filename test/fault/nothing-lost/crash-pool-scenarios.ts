import { expect } from 'vitest'
import { isNotFound, unlessNotFound } from '../../../src/platform/kube/errors.ts'
import { deleteObject, listObjects } from '../../../src/platform/kube/objects.ts'
import { resourceClaimTemplates, serviceAccounts } from '../../../src/platform/kube/resources.ts'
import type { ModelPoolSpec } from '../../../src/shared/crd/model-pool.ts'
import { annotations, labels, serviceAccounts as accounts } from '../../../src/shared/names.ts'
import { collectedWithinMs, makeOlder } from '../../integration/controller/pool-scene.ts'
import { completes, conditionOf, runs, until } from '../../integration/controller/scene.ts'
import { eventually } from '../../support/eventually.ts'
import type { PoolPlay, PoolScenario } from './crash-pools.ts'

const ready = 'True/Ready'
const stop = (value: 'true' | null) => ({
  metadata: { annotations: { [annotations.stop]: value } },
})
const claimed = (count: number) => ({ count, sharing: 'Exclusive', api: 'DRA' }) as const

/** Every way through the reconcile of a ModelPool. */
export const poolScenarios: readonly PoolScenario[] = [
  {
    key: 'create',
    name: 'a pool that is made, in a namespace without an account for its pods',
    prepare: removeAccount,
    act: async ({ pool }) => {
      await pool.create({ minReplicas: 1 })
    },
    end: ready,
    pods: 1,
  },
  {
    key: 'up',
    name: 'a pool that somebody scales up',
    prepare: startPool({ minReplicas: 1, maxReplicas: 2 }, 1),
    act: async ({ pool }) => {
      await pool.scale(2)
    },
    end: ready,
    pods: 2,
  },
  {
    key: 'down',
    name: 'a pool that somebody scales down while one of its pods is at work',
    prepare: startBusyPool,
    act: scaleDownAroundJob,
    end: ready,
    pods: 1,
  },
  {
    key: 'demand',
    name: 'a pool without pods that a job waits for, and that has nothing to do after it',
    prepare: async ({ lane, pool }) => {
      const name = await lane.createModel()
      await pool.create({ models: [{ name }], idleSeconds: 1 })
      await pool.until('True/ScaledToZero')
    },
    act: serveOneJob,
    end: 'True/ScaledToZero',
    pods: 0,
  },
  {
    key: 'idle',
    name: 'a pool that gives up one of two idle pods',
    prepare: startPool({ minReplicas: 1, maxReplicas: 2, replicas: 2, idleSeconds: 1 }, 2),
    act: async ({ pool }) => {
      await pool.patch({ spec: { replicas: null } })
    },
    end: ready,
    pods: 1,
  },
  {
    key: 'stop',
    name: 'a pool that is stopped, and goes on',
    prepare: startPool({ minReplicas: 1 }, 1),
    act: async ({ pool }) => {
      await pool.patch(stop('true'))
      await pool.until('False/Stopped')
      await pool.untilPods(0)
      await pool.patch(stop(null))
    },
    end: ready,
    pods: 1,
  },
  {
    key: 'claims',
    name: 'a pool whose pods are to claim other GPUs, and that is deleted then',
    prepare: async (play) => {
      await play.pool.create({ minReplicas: 1, gpu: claimed(1) })
      await untilClaims(play, [1])
    },
    act: async (play) => {
      await play.pool.patch({ spec: { gpu: { count: 2 } } })
      await untilClaims(play, [2])
      await play.pool.remove()
    },
    end: 'Deleted',
    pods: 0,
  },
  {
    key: 'delete',
    name: 'a pool that is deleted while it is made',
    act: async ({ pool }) => {
      // Its pods never start, and so they go at once.
      await pool.create({ minReplicas: 1, gpu: claimed(1) })
      await eventually(async () => await pool.deployment())
      await pool.remove()
    },
    end: 'Deleted',
    pods: 0,
  },
  {
    key: 'again',
    name: 'a pool that is deleted and made anew under its name',
    prepare: startPool({ minReplicas: 1 }, 1),
    act: async ({ pool }) => {
      await pool.remove()
      await eventually(async () => {
        await expect(pool.deployment()).rejects.toSatisfy(isNotFound)
        await expect(pool.key()).rejects.toSatisfy(isNotFound)
      }, collectedWithinMs)
      await pool.create({ minReplicas: 1 })
    },
    end: ready,
    pods: 1,
    generations: 2,
  },
]

/** Whoever was there before has made it. */
async function removeAccount({ lane }: PoolPlay): Promise<void> {
  const { admin, namespace } = lane.world
  const account = { name: accounts.job, namespace }
  await deleteObject(admin, serviceAccounts, account).catch(unlessNotFound)
}

function startPool(spec: Partial<ModelPoolSpec>, count: number) {
  return async (play: PoolPlay) => {
    await play.pool.create(spec)
    await untilServing(play, count)
  }
}

/** Everything is told that there is to tell about so many pods. */
async function untilServing({ pool }: PoolPlay, count: number): Promise<void> {
  await eventually(async () => {
    const { status } = await pool.until(ready)
    expect([status?.replicas, status?.readyReplicas]).toEqual([count, count])
  })
}

async function startBusyPool(play: PoolPlay): Promise<void> {
  const { lane, name, pool } = play
  const model = await lane.createModel()
  await pool.create({ models: [{ name: model }], replicas: 2, maxReplicas: 2 })
  await untilServing(play, 2)
  const { stopReport } = runs
  lane.slots.behave(name, { ...(stopReport && { stopReport }) })
  await lane.world.createJob({ execution: 'Pooled', modelRef: { name: model } }, name)
  const job = await until(lane.world, { name, type: 'PodsReady', is: 'True/Running' })
  const all = await pool.untilPods(2)
  const idle = all.find(({ metadata }) => metadata.uid !== job.status?.attempt?.podUID)
  // By itself Kubernetes would end the younger one, which is at work.
  if (idle !== undefined) await makeOlder(lane.world.admin, idle)
}

/** Whoever dies between the choice of the pod and the smaller number: the job goes on. */
async function scaleDownAroundJob({ lane, name, pool }: PoolPlay): Promise<void> {
  const before = await lane.world.getJob(name)
  await pool.scale(1)
  const [left] = await pool.untilPods(1)
  expect(left?.metadata.uid).toBe(before.status?.attempt?.podUID)
  await lane.world.patchSpec(name, { cancel: true })
  const after = await until(lane.world, { name, type: 'Succeeded', is: 'False/Cancelled' })
  expect(after.status?.attempt).toMatchObject({ ...before.status?.attempt, number: 1 })
}

async function serveOneJob({ lane, name, pool }: PoolPlay): Promise<void> {
  const { report } = completes.exit ?? {}
  lane.slots.behave(name, { ...(report && { report }) })
  const [model] = (await pool.get()).spec.models
  const modelRef = { name: model?.name ?? '' }
  await lane.world.createJob({ execution: 'Pooled', modelRef }, name)
  await eventually(async () => {
    const job = await lane.world.getJob(name)
    expect(conditionOf(job, 'Succeeded')).toBe('True/Completed')
    expect(job.status?.attempt?.number).toBe(1)
  }, 60_000)
}

/** The pod waits for so many GPUs, and no template is left that no pod refers to. */
async function untilClaims({ lane, name, pool }: PoolPlay, counts: readonly number[]) {
  const { admin, namespace } = lane.world
  const labelSelector = `${labels.pool}=${name}`
  await eventually(async () => {
    const all = await listObjects(admin, resourceClaimTemplates, { namespace, labelSelector })
    const found = all.map(({ spec }) => spec.spec.devices?.requests?.[0]?.exactly?.count)
    expect(found).toEqual(counts)
    const { status } = await pool.until('False/ScalingUp')
    expect([status?.replicas, status?.readyReplicas]).toEqual([1, 0])
    const [pod] = await pool.untilPods(1)
    const [claim] = pod?.spec?.resourceClaims ?? []
    expect(claim?.resourceClaimTemplateName).toBe(all[0]?.metadata.name)
  })
}
