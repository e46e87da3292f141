import { systemClock } from '../../src/platform/clock/system-clock.ts'
import { type KubeClient, openKubeClient } from '../../src/platform/kube/client.ts'
import {
  type Election,
  type ElectionOptions,
  standForElection,
} from '../../src/platform/kube/lease.ts'
import { createObject, getObject, mergePatch } from '../../src/platform/kube/objects.ts'
import { type Lease, leases } from '../../src/platform/kube/resources.ts'
import { testEnvironment } from './environment.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { createNamespace, deleteNamespace, openAdminClient } from './kube.ts'

/** Long enough that even a machine that stalls for seconds renews in time. */
export const LEASE_SECONDS = 15
/** Until then a leader must have renewed it: two thirds. */
export const DEADLINE_MS = 10_000

export type Candidate = Election & { readonly identity: string; readonly errors: unknown[] }

/** A test function with a Lease of its own; whoever stood for it is stopped afterwards. */
export function withLease(run: (scene: LeaseScene) => Promise<void>): () => Promise<void> {
  return async () => {
    const scene = await LeaseScene.open()
    try {
      await run(scene)
    } finally {
      await scene.close()
    }
  }
}

export class LeaseScene {
  readonly admin: KubeClient
  readonly #namespace: string
  readonly #candidates: Candidate[] = []
  readonly #closing: (() => Promise<void>)[] = []

  static async open(): Promise<LeaseScene> {
    const admin = openAdminClient()
    return new LeaseScene(admin, await createNamespace(admin, 'election'))
  }

  constructor(admin: KubeClient, namespace: string) {
    this.admin = admin
    this.#namespace = namespace
  }

  get ref() {
    return { namespace: this.#namespace, name: 'leader' }
  }

  stand(identity: string, options: Partial<ElectionOptions> = {}): Candidate {
    const errors: unknown[] = []
    const election = standForElection({
      client: this.admin,
      lease: this.ref,
      identity,
      leaseSeconds: LEASE_SECONDS,
      clock: systemClock,
      monotonicMs: () => performance.now(),
      random: Math.random,
      onError: (error) => errors.push(error),
      ...options,
    })
    const candidate = { ...election, identity, errors }
    this.#candidates.push(candidate)
    return candidate
  }

  /** A way to the API server that may be disturbed. */
  async openProxy(): Promise<{ readonly proxy: FaultProxy; readonly client: KubeClient }> {
    const proxy = await startFaultProxy(testEnvironment().kubeconfigPath)
    const client = openKubeClient({ kubeconfigPath: proxy.kubeconfigPath, userAgent: 'lease-test' })
    this.#closing.push(async () => {
      await client.close()
      await proxy.close()
    })
    return { proxy, client }
  }

  leaders(): readonly string[] {
    return this.#candidates.filter((one) => one.isLeading()).map(({ identity }) => identity)
  }

  async lease(): Promise<Lease> {
    return await getObject(this.admin, leases, this.ref)
  }

  async createLease(spec: Lease['spec']): Promise<void> {
    await createObject(this.admin, leases, { metadata: this.ref, spec })
  }

  async patchLease(patch: object): Promise<void> {
    await mergePatch(this.admin, leases, { ...this.ref, patch })
  }

  async close(): Promise<void> {
    await Promise.all(this.#candidates.map(async (one) => await one.stop()))
    await Promise.all(this.#closing.map(async (close) => await close()))
    await deleteNamespace(this.admin, this.#namespace)
    await this.admin.close()
  }
}
