import assert from 'node:assert/strict'
import { systemClock } from '../../src/platform/clock/system-clock.ts'
import { type KubeClient, openKubeClient } from '../../src/platform/kube/client.ts'
import {
  type ListWatch,
  type ListWatchOptions,
  startListWatch,
} from '../../src/platform/kube/list-watch.ts'
import {
  createObject,
  deleteObject,
  listObjects,
  mergePatch,
} from '../../src/platform/kube/objects.ts'
import { type ConfigMap, configMaps, keyOf } from '../../src/platform/kube/resources.ts'
import { testEnvironment } from './environment.ts'
import { eventually } from './eventually.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { createNamespace, deleteNamespace, openAdminClient } from './kube.ts'

const labelSelector = 'test=fault'

/** A test function with a scene of its own, closed afterwards. */
export function withScene(run: (scene: ListWatchScene) => Promise<void>): () => Promise<void> {
  return async () => {
    const scene = await ListWatchScene.open()
    try {
      await run(scene)
    } finally {
      await scene.close()
    }
  }
}

/** A list-watch of ConfigMaps behind a faulty proxy, and an administrator who goes around it. */
export class ListWatchScene {
  readonly namespace: string
  readonly proxy: FaultProxy
  /** Keys that the handler was told, in order. */
  readonly keys: string[] = []
  readonly errors: unknown[] = []
  readonly #admin: KubeClient
  readonly #client: KubeClient
  #watched: ListWatch<ConfigMap> | undefined

  static async open(): Promise<ListWatchScene> {
    const admin = openAdminClient()
    const namespace = await createNamespace(admin, 'fault')
    const proxy = await startFaultProxy(testEnvironment().kubeconfigPath)
    return new ListWatchScene({ admin, namespace, proxy })
  }

  constructor(parts: { admin: KubeClient; namespace: string; proxy: FaultProxy }) {
    this.#admin = parts.admin
    this.namespace = parts.namespace
    this.proxy = parts.proxy
    const { kubeconfigPath } = parts.proxy
    this.#client = openKubeClient({ kubeconfigPath, userAgent: 'fault-test' })
  }

  get watched(): ListWatch<ConfigMap> {
    if (this.#watched === undefined) throw new Error('the list-watch was not started')
    return this.#watched
  }

  start(options: Partial<ListWatchOptions<ConfigMap>> = {}): void {
    this.#watched = startListWatch({
      client: this.#client,
      kind: configMaps,
      namespace: this.namespace,
      labelSelector,
      clock: systemClock,
      random: Math.random,
      onChange: (key) => this.keys.push(key),
      onError: (error) => this.errors.push(error),
      ...options,
    })
  }

  async startSynced(options: Partial<ListWatchOptions<ConfigMap>> = {}): Promise<void> {
    this.start(options)
    await this.watched.synced()
    await eventually(() => assert.equal(this.proxy.openWatches(), 1))
  }

  async create(name: string): Promise<void> {
    const metadata = { name, namespace: this.namespace, labels: { test: 'fault' } }
    await createObject(this.#admin, configMaps, { metadata, data: { step: '1' } })
  }

  async change(name: string, step: string): Promise<void> {
    const patch = { data: { step } }
    await mergePatch(this.#admin, configMaps, { name, namespace: this.namespace, patch })
  }

  async remove(name: string): Promise<void> {
    await deleteObject(this.#admin, configMaps, { name, namespace: this.namespace })
  }

  /** The cache holds exactly what the API server holds, version by version. */
  async expectConverged(timeoutMs = 30_000): Promise<void> {
    await eventually(async () => {
      const { namespace } = this
      const truth = await listObjects(this.#admin, configMaps, { namespace, labelSelector })
      assert.deepEqual(versions(this.watched.lister.list()), versions(truth))
    }, timeoutMs)
  }

  /** The handler is told of a change made now: the watch really runs again. */
  async expectAlive(): Promise<void> {
    await this.create('alive')
    await eventually(() => assert.ok(this.keys.includes(`${this.namespace}/alive`)))
    await this.expectConverged()
  }

  async close(): Promise<void> {
    await this.#watched?.stop()
    await this.#client.close()
    await this.proxy.close()
    await deleteNamespace(this.#admin, this.namespace)
    await this.#admin.close()
  }
}

function versions(objects: readonly ConfigMap[]): readonly string[] {
  return objects.map((each) => `${keyOf(each)}@${each.metadata.resourceVersion}`).toSorted()
}
