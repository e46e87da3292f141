import type { KubeClient } from '../platform/kube/client.ts'
import { mergePatch } from '../platform/kube/objects.ts'
import { secrets } from '../platform/kube/resources.ts'
import type { Clock } from '../shared/clock.ts'
import { POOL_KEY_PAUSE_MS, POOL_KEYS_MAX } from './limits.ts'

export type PoolRef = { readonly namespace: string; readonly pool: string }

/** The Secret of a pool with the key that signs what the controller says to its pods. */
export function poolKeySecretName(pool: string): string {
  return `pool-${pool}-key`
}

type Remembered = { readonly key: Promise<Uint8Array>; readonly readMs: number }

/** The keys of all pools, each read from its Secret when it is first needed. */
export class PoolKeys {
  readonly #client: KubeClient
  readonly #clock: Clock
  readonly #known = new Map<string, Remembered>()

  constructor(client: KubeClient, clock: Clock) {
    this.#client = client
    this.#clock = clock
  }

  /** Errors: KubeError while the Secret cannot be read. */
  async keyOf(ref: PoolRef): Promise<Uint8Array> {
    const id = idOf(ref)
    const known = this.#known.get(id) ?? this.#remember(id, ref)
    try {
      return await known.key
    } catch (error) {
      if (this.#known.get(id) === known) this.#known.delete(id)
      throw error
    }
  }

  /**
   * The pod did not accept the key: true when it is worth trying once more with the one that the
   * Secret has now. A pod that accepts nothing must not make us read the Secret all the time.
   */
  mayBeRenewed(ref: PoolRef): boolean {
    const id = idOf(ref)
    const known = this.#known.get(id)
    if (known === undefined) return true
    if (this.#clock.nowMs() - known.readMs < POOL_KEY_PAUSE_MS) return false
    return this.#known.delete(id)
  }

  #remember(id: string, ref: PoolRef): Remembered {
    const read = { key: this.#read(ref), readMs: this.#clock.nowMs() }
    this.#known.set(id, read)
    const [oldest] = this.#known.keys()
    if (this.#known.size > POOL_KEYS_MAX && oldest !== undefined) this.#known.delete(oldest)
    return read
  }

  async #read({ namespace, pool }: PoolRef): Promise<Uint8Array> {
    // The controller may not read Secrets, and may patch those of pools if nothing changes.
    const name = poolKeySecretName(pool)
    const secret = await mergePatch(this.#client, secrets, { namespace, name, patch: {} })
    const key = Buffer.from(secret.data?.['key'] ?? '', 'base64')
    if (key.length === 0) throw new Error('the Secret of the pool has no key')
    return key
  }
}

function idOf({ namespace, pool }: PoolRef): string {
  return `${namespace}/${pool}`
}
