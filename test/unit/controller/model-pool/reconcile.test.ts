import { describe, expect, it } from 'vitest'
import { WrittenVersions } from '../../../../src/controller/written-versions.ts'
import { ClaimTemplates } from '../../../../src/controller/model-pool/claim-templates.ts'
import { PoolBoard } from '../../../../src/controller/model-pool/pool-board.ts'
import { reconcileModelPool } from '../../../../src/controller/model-pool/reconcile.ts'
import type { ControllerSettings } from '../../../../src/controller/settings.ts'
import type { KubeClient, KubeRequest } from '../../../../src/platform/kube/client.ts'
import { KubeError } from '../../../../src/platform/kube/errors.ts'
import { startEventRecorder } from '../../../../src/platform/kube/events.ts'
import type { ModelPoolStatus } from '../../../../src/shared/crd/model-pool.ts'
import { aPool, aPoolPod, aSlot, aPodState, cachesOver } from '../board-scene.ts'
import { createdMs, packSettings } from '../builders.ts'

const key = 'vision/warm'
const clock = { nowMs: () => createdMs }
const settings: ControllerSettings = {
  inferenceImage: 'atelier.dev/inference:1',
  podApiUrl: 'http://api.atelier-system:8081',
  nodeSelector: {},
  allowCpu: false,
  retryBaseMs: 10_000,
  packs: packSettings,
}

/**
 * Refuses every Deployment: no real API server does so for any pool that its schema lets through,
 * but for policies and quotas that others have set up.
 */
class FakeRefusingServer implements KubeClient {
  readonly server = 'none'
  readonly statuses: ModelPoolStatus[] = []
  readonly #error: unknown

  constructor(error: unknown) {
    this.#error = error
  }

  async request<T>(request: KubeRequest): Promise<T> {
    await this.close()
    // Nobody reads more of an answer than these fields.
    return this.#answer(request) as T
  }

  async stream(): Promise<AsyncIterable<string>> {
    await this.close()
    throw answer(404)
  }

  async close(): Promise<void> {
    await Promise.resolve()
  }

  #answer({ method, path, body }: KubeRequest): object {
    if (path.endsWith('/status')) {
      this.statuses.push(statusOf(body))
      return { metadata: { uid: 'pool-uid', resourceVersion: '9' } }
    }
    if (path.includes('/deployments/') && method === 'PATCH') throw this.#error
    if (path.includes('/deployments/')) throw answer(404)
    return { metadata: { ownerReferences: [{ uid: 'pool-uid', controller: true }] } }
  }
}

function statusOf(body: unknown): ModelPoolStatus {
  const { status = {} }: { status?: ModelPoolStatus } = Object(body)
  return status
}

function answer(status: number): KubeError {
  return new KubeError({ status, reason: 'x', message: `answer ${status}` })
}

function sceneOf(error: unknown) {
  const { caches, cluster } = cachesOver({ modelPools: [aPool()], poolPods: [aPoolPod()] })
  const client = new FakeRefusingServer(error)
  const board = new PoolBoard({
    caches,
    clock,
    allowCpu: false,
    wake: () => undefined,
    onChange: () => undefined,
  })
  const parts = {
    caches,
    board,
    settings,
    clock,
    client,
    events: startEventRecorder({ client, component: 'test', clock, random: () => 0.5 }),
    randomBytes: (length: number) => new Uint8Array(length),
    written: new WrittenVersions(clock),
    keysSeen: new Map(),
    templates: new ClaimTemplates(client),
  }
  return {
    board,
    cluster,
    written: parts.written,
    server: client,
    reconcile: async () => await reconcileModelPool(parts, key),
  }
}

it('a pool that is gone is forgotten, and its Deployment with it', async () => {
  const { cluster, written, reconcile } = sceneOf(undefined)
  const keys = [key, `deployment/${key}`]
  for (const one of keys) written.note(one, withVersion('9'))
  expect(keys.map((one) => written.isBehind(one, withVersion('8')))).toEqual([true, true])
  cluster.modelPools = []
  await reconcile()
  expect(keys.map((one) => written.isBehind(one, withVersion('8')))).toEqual([false, false])
})

function withVersion(resourceVersion: string) {
  return { ...aPool(), metadata: { ...aPool().metadata, resourceVersion } }
}

describe('a pool whose Deployment is refused', () => {
  it.each([answer(403), answer(422)])('says why, once, and gets no slots: %s', async (error) => {
    const { board, cluster, server, reconcile } = sceneOf(error)
    await expect(reconcile()).rejects.toBe(error)
    const [status] = server.statuses
    expect(status?.conditions).toMatchObject([
      { type: 'Ready', status: 'False', reason: 'Invalid', observedGeneration: 1 },
    ])
    expect(status?.conditions?.[0]?.message).toContain(error.message)
    const [before] = cluster.modelPools
    const { metadata } = withVersion('9')
    cluster.modelPools = [{ ...aPool(), ...before, metadata, ...(status && { status }) }]
    await expect(reconcile()).rejects.toBe(error)
    expect(server.statuses).toHaveLength(1)
    board.noteState(aPoolPod().metadata.uid, aPodState([aSlot()]))
    expect(board.views()[0]).toMatchObject({ growable: false, slots: [{ model: 'demo' }] })
  })

  it.each([answer(409), answer(500)])('says nothing of what passes: %s', async (error) => {
    const { server, reconcile } = sceneOf(error)
    await expect(reconcile()).rejects.toBe(error)
    expect(server.statuses).toEqual([])
  })
})
