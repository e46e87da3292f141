import type { KubeObject } from '../../platform/kube/types.ts'

type Written = { readonly uid: string; readonly version: bigint }

/**
 * The version that our own last write gave each object. A cache that is behind it would only
 * lead to decisions that were made already (KEP-5504: versions are integers that grow).
 */
export class WrittenVersions {
  readonly #versions = new Map<string, Written>()

  note(key: string, { metadata }: KubeObject): void {
    this.#versions.set(key, { uid: metadata.uid, version: BigInt(metadata.resourceVersion) })
  }

  /** The newer version is on its way, and wakes the key when it comes. */
  isBehind(key: string, { metadata }: KubeObject): boolean {
    const written = this.#versions.get(key)
    if (written?.uid !== metadata.uid) return false
    return BigInt(metadata.resourceVersion) < written.version
  }

  forget(key: string): void {
    this.#versions.delete(key)
  }
}
