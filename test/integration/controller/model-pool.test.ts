import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { KubeClient } from '../../../src/platform/kube/client.ts'
import {
  createObject,
  deleteObject,
  getObject,
  listObjects,
  mergePatch,
} from '../../../src/platform/kube/objects.ts'
import {
  deployments,
  events,
  models,
  nodes,
  pods,
  resourceClaimTemplates,
  secrets,
  serviceAccounts,
} from '../../../src/platform/kube/resources.ts'
import { annotations, labels } from '../../../src/shared/names.ts'
import { eventually } from '../../support/eventually.ts'
import { collectedWithinMs, poolMessage, poolScene, startPoolKubelet } from './pool-scene.ts'
import { createWorld, modelSpec, type World } from './world.ts'

/** All tests but the last use one world at once, each with a pool of its own name. */
let world: World
let kubelet: ReturnType<typeof startPoolKubelet>

beforeAll(async () => {
  world = await createWorld({ gpus: [16] })
  kubelet = startPoolKubelet(world.admin, world.namespace)
  await world.startController()
})

afterAll(async () => {
  await kubelet.stop()
  await world.close()
})

describe.concurrent('a ModelPool', () => {
  it('gets a key, an account, a Deployment and pods, and says when they take jobs', async () => {
    const pool = poolScene(world, 'life')
    const { metadata } = await pool.create({ minReplicas: 2, maxReplicas: 3 })
    const { status } = await pool.until('True/Ready')
    expect(status?.selector).toBe('atelier.dev/pool=life')
    await eventually(async () => {
      expect((await pool.get()).status).toMatchObject({ replicas: 2, readyReplicas: 2 })
    })
    const owner = { kind: 'ModelPool', uid: metadata.uid, controller: true }
    const secret = await pool.key()
    expect(secret).toMatchObject({
      type: 'atelier.dev/pool-key',
      metadata: { ownerReferences: [owner] },
    })
    // Nodes keep immutable ones by name, so that a pool made anew would never get its own.
    expect(secret).not.toHaveProperty('immutable')
    expect(Buffer.from(secret.data?.['key'] ?? '', 'base64')).toHaveLength(32)
    expect(await pool.deployment()).toMatchObject({ metadata: { ownerReferences: [owner] } })
    const account = { name: 'atelier-job', namespace: world.namespace }
    expect(await getObject(world.admin, serviceAccounts, account)).toBeDefined()
    await pool.untilPods(2)
  })

  it('follows kubectl scale up to maxReplicas, down to nothing, and its own mind', async () => {
    const pool = poolScene(world, 'scaled')
    await pool.create({ maxReplicas: 2, idleSeconds: 1 })
    await pool.until('True/ScaledToZero')
    await pool.scale(2)
    await pool.until('True/Ready')
    await expect(pool.scale(3)).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining('spec.replicas'),
    })
    await pool.scale(0)
    expect(poolMessage(await pool.until('False/Stopped'))).toContain('spec.replicas')
    await pool.untilPods(0)
    await pool.patch({ spec: { replicas: null, minReplicas: 1 } })
    await pool.until('True/Ready')
    await pool.untilPods(1)
  })

  it('stops at the annotation, whatever the spec wants, and goes on without it', async () => {
    const pool = poolScene(world, 'stopped')
    await pool.create({ minReplicas: 1, replicas: 1 })
    await pool.until('True/Ready')
    await pool.patch({ metadata: { annotations: { [annotations.stop]: 'true' } } })
    await pool.until('False/Stopped')
    await pool.untilPods(0)
    await pool.patch({ metadata: { annotations: { [annotations.stop]: null } } })
    expect((await pool.until('True/Ready')).spec.replicas).toBe(1)
  })

  it('gives up pods that have nothing to do, but for those it is to keep', async () => {
    const pool = poolScene(world, 'idle')
    await pool.create({ minReplicas: 1, maxReplicas: 3, replicas: 3, idleSeconds: 1 })
    await pool.until('True/Ready')
    await pool.patch({ spec: { replicas: null } })
    await pool.untilPods(1)
    expect((await pool.deployment()).spec?.replicas).toBe(1)
    await eventually(async () => {
      const all = await listObjects(world.admin, events, { namespace: world.namespace })
      const ours = all.filter(({ involvedObject }) => involvedObject.name === 'idle')
      expect(ours.map(({ reason }) => reason)).toContain('ScaledDown')
    })
  })

  it('is made anew under the same name, with a key of its own', async () => {
    const pool = poolScene(world, 'again')
    await pool.create({ minReplicas: 1 })
    await pool.until('True/Ready')
    const before = await pool.key()
    await pool.remove()
    const { metadata } = await pool.create({ minReplicas: 1 })
    await eventually(async () => {
      // Nobody is told that garbage collection has taken the old Secret away.
      await pool.patch({ metadata: { annotations: { 'test.example/poke': String(Date.now()) } } })
      const after = await pool.key()
      expect(after.metadata.ownerReferences?.[0]?.uid).toBe(metadata.uid)
      expect(after.data?.['key']).not.toBe(before.data?.['key'])
    }, collectedWithinMs)
    await pool.until('True/Ready')
  }, 120_000)

  it('may have as long a name as a label may be', async () => {
    const pool = poolScene(world, 'n'.repeat(63))
    await pool.create({ minReplicas: 1 })
    await pool.until('True/Ready')
    await expect(poolScene(world, 'n'.repeat(64)).create()).rejects.toMatchObject({
      status: 422,
      message: expect.stringContaining('metadata.name'),
    })
  })

  it('takes everything with it when it is deleted', async () => {
    const pool = poolScene(world, 'gone')
    await pool.create({ minReplicas: 1 })
    await pool.until('True/Ready')
    await pool.remove()
    await pool.untilPods(0)
    await eventually(async () => {
      await expect(pool.deployment()).rejects.toMatchObject({ status: 404 })
      await expect(pool.key()).rejects.toMatchObject({ status: 404 })
    }, collectedWithinMs)
  }, 120_000)
})

describe.concurrent('what a ModelPool needs', () => {
  it('is named when a Model is missing, and waited for', async () => {
    const pool = poolScene(world, 'models')
    const later = `${world.namespace}-later`
    await pool.create({ minReplicas: 1, models: [{ name: world.model }, { name: later }] })
    const refused = await pool.until('False/ModelNotFound')
    expect(poolMessage(refused)).toContain(`spec.models[1].name: there is no Model ${later}`)
    await expect(pool.deployment()).rejects.toMatchObject({ status: 404 })
    await createObject(world.admin, models, { metadata: { name: later }, spec: modelSpec() })
    try {
      await pool.until('True/Ready')
    } finally {
      await world.removeModel(later)
    }
  })

  it('is named when no Node has such GPUs, and noticed when one comes', async () => {
    const pool = poolScene(world, 'kinds')
    const gpu = { count: 1, products: ['H100'], sharing: 'Exclusive', api: 'Auto' } as const
    await pool.create({ minReplicas: 1, gpu: { ...gpu, products: [...gpu.products] } })
    const refused = await pool.until('False/NoMatchingGpu')
    expect(poolMessage(refused)).toContain('nvidia.com/gpu.product In H100')
    const patch = { metadata: { labels: { 'nvidia.com/gpu.product': 'H100' } } }
    await mergePatch(world.admin, nodes, { name: world.nodes[0]?.name ?? '', patch })
    await pool.until('True/Ready')
  })

  it('may be claims, which the API server takes', async () => {
    const pool = poolScene(world, 'claims')
    await pool.create({
      minReplicas: 1,
      gpu: {
        count: 2,
        minMemoryMiB: 40_000,
        products: ['A100-SXM4-40GB-MIG-1g.10gb.me'],
        sharing: 'Mig',
        api: 'DRA',
      },
    })
    await pool.until('False/ScalingUp')
    const { admin, namespace } = world
    const labelSelector = 'atelier.dev/pool=claims'
    const found = await listObjects(admin, resourceClaimTemplates, { namespace, labelSelector })
    const [template, ...others] = found
    expect(others).toEqual([])
    expect(template?.spec.spec.devices?.requests?.[0]?.exactly).toMatchObject({
      deviceClassName: 'mig.nvidia.com',
      count: 2,
    })
    const [pod] = await pool.untilPods(1)
    expect(pod?.spec?.resourceClaims).toEqual([
      { name: 'gpus', resourceClaimTemplateName: template?.metadata.name },
    ])
  })

  it('leave no template of claims behind that no pod refers to', async () => {
    const pool = poolScene(world, 'other-claims')
    await pool.create({ minReplicas: 1, gpu: { count: 1, sharing: 'Exclusive', api: 'DRA' } })
    const { admin, namespace } = world
    const counts = async () => {
      const labelSelector = 'atelier.dev/pool=other-claims'
      const all = await listObjects(admin, resourceClaimTemplates, { namespace, labelSelector })
      return new Set(all.map(({ spec }) => spec.spec.devices?.requests?.[0]?.exactly?.count))
    }
    const [old] = await pool.untilPods(1)
    const name = old?.metadata.name ?? ''
    const keep = (finalizers: readonly string[] | null) =>
      mergePatch(admin, pods, { name, namespace, patch: { metadata: { finalizers } } })
    await keep(['test.atelier.dev/stays'])
    await pool.patch({ spec: { gpu: { count: 2 } } })
    await eventually(async () => {
      const [next] = await pool.untilPods(1)
      expect(next?.metadata.name).not.toBe(name)
    })
    // The old pod is on its way out, but there.
    expect(await counts()).toEqual(new Set([1, 2]))
    await keep(null)
    await eventually(async () => expect(await counts()).toEqual(new Set([2])))
  })
})

describe.concurrent('what is not the pool’s own', () => {
  it.each([
    ['without-label', {}],
    ['with-label', { [labels.pool]: 'with-label' }],
  ])('is not touched: a Deployment of its name %s', async (poolName, found) => {
    const { admin, namespace } = world
    const name = `pool-${poolName}`
    const pool = poolScene(world, poolName)
    const template = {
      metadata: { labels: { app: 'web' } },
      spec: { containers: [{ name: 'web', image: 'web' }] },
    }
    const spec = { replicas: 0, selector: { matchLabels: { app: 'web' } }, template }
    await createObject(admin, deployments, { metadata: { name, namespace, labels: found }, spec })
    await pool.create({ minReplicas: 1 })
    const refused = await pool.until('False/NameTaken')
    expect(poolMessage(refused)).toContain(`Deployment ${name} exists`)
    const after = await pool.deployment()
    expect(after.spec).toMatchObject({ replicas: 0, selector: { matchLabels: { app: 'web' } } })
    expect(after.metadata.ownerReferences).toBeUndefined()
    await deleteObject(admin, deployments, { name, namespace })
    await pool.patch({ metadata: { annotations: { 'test.example/poke': '1' } } })
    await pool.until('True/Ready')
  })

  it('is not touched: a Secret of its name', async () => {
    const pool = poolScene(world, 'secret')
    const metadata = { name: 'pool-secret-key', namespace: world.namespace }
    const data = { key: 'YWJj' }
    const secret = await createObject(world.admin, secrets, { metadata, type: 'Opaque', data })
    await pool.create({ minReplicas: 1 })
    const refused = await pool.until('False/NameTaken')
    expect(poolMessage(refused)).toContain('Secret pool-secret-key exists')
    await expect(pool.deployment()).rejects.toMatchObject({ status: 404 })
    expect((await pool.key()).metadata.resourceVersion).toBe(secret.metadata.resourceVersion)
  })

  it('stays, while what was changed of its own is put back', async () => {
    const pool = poolScene(world, 'drift')
    await pool.create({ minReplicas: 1 })
    await pool.until('True/Ready')
    const patch = {
      metadata: { annotations: { 'team.example/note': 'mine' } },
      spec: { replicas: 0, template: { spec: { terminationGracePeriodSeconds: 1 } } },
    }
    const { namespace } = world
    await mergePatch(world.admin, deployments, { namespace, name: 'pool-drift', patch })
    await eventually(async () => {
      const { metadata, spec } = await pool.deployment()
      expect(spec?.template.spec?.terminationGracePeriodSeconds).toBe(3600)
      expect(spec?.replicas).toBe(1)
      expect(metadata.annotations?.['team.example/note']).toBe('mine')
    })
    await pool.until('True/Ready')
  })
})

describe('in a world of its own, a ModelPool', () => {
  let own: World
  let ownKubelet: ReturnType<typeof startPoolKubelet>

  afterEach(async () => {
    await ownKubelet.stop()
    await own.close()
  })

  async function startOwn() {
    own = await createWorld({ gpus: [1] })
    ownKubelet = startPoolKubelet(own.admin, own.namespace)
    await own.startController()
    return poolScene(own, 'alone')
  }

  it('starts when the first job waits, waits for GPUs, and is quiet at rest', async () => {
    const pool = await startOwn()
    await pool.create({ maxReplicas: 2, idleSeconds: 86_400 })
    await pool.until('True/ScaledToZero')
    await own.createJob({ execution: 'Pooled' })
    await pool.until('True/Ready')
    await pool.scale(2)
    await pool.until('True/ScalingUp')
    await pool.scale(1)
    await pool.until('True/Ready')
    await eventually(async () => {
      expect((await pool.get()).status).toMatchObject({ replicas: 1, readyReplicas: 1 })
    })
    const counts: Counts = { keysRead: 0, writes: [] }
    const second = await own.startController((client) => counting(client, counts))
    await eventually(() => {
      expect(counts.keysRead).toBeGreaterThan(0)
    })
    await second.stop()
    expect(counts.writes).toEqual([])
  })
})

type Counts = { keysRead: number; readonly writes: string[] }

function counting(client: KubeClient, counts: Counts): KubeClient {
  return {
    ...client,
    request: async (request) => {
      const { method, path } = request
      // Patches of Secrets that change nothing read keys: see the policy controller-secrets.
      if (path.includes('/secrets/')) counts.keysRead += 1
      else if (method !== 'GET') counts.writes.push(`${method} ${path}`)
      return await client.request(request)
    },
  }
}
