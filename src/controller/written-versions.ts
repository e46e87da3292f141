import type { KubeObject } from '../platform/kube/types.ts'
import type { Clock } from '../shared/clock.ts'
import { UNSEEN_MAX_MS } from './limits.ts'

type Written = { readonly uid: string; readonly version: bigint; readonly sinceMs: number }

/**
 * The version that our own last write gave each object. A cache that is behind it would only
 * lead to decisions that were made already (KEP-5504: versions are integers that grow).
 */
export class WrittenVersions {
  readonly #clock: Clock
  readonly #versions = new Map<string, Written>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  note(key: string, { metadata }: KubeObject): void {
    const { uid, resourceVersion } = metadata
    const sinceMs = this.#clock.nowMs()
    this.#versions.set(key, { uid, version: BigInt(resourceVersion), sinceMs })
  }

  /**
   * The newer version is on its way, and wakes the key when it comes. One that does not come never
   * will: the API server was set back to before it.
   */
  isBehind(key: string, { metadata }: KubeObject): boolean {
    const written = this.#versions.get(key)
    if (written?.uid !== metadata.uid) return false
    if (this.#clock.nowMs() - written.sinceMs >= UNSEEN_MAX_MS) return false
    return BigInt(metadata.resourceVersion) < written.version
  }

  forget(key: string): void {
    this.#versions.delete(key)
  }
}
