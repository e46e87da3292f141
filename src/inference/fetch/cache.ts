import { mkdir, open, readdir, realpath, rename, rm, statfs } from 'node:fs/promises'
import path from 'node:path'
import { packLeasesFolder } from '../../shared/domain/pod-contract.ts'
import { readAnyManifest } from '../models/manifest.ts'
import { totalBytes } from '../models/pack-files.ts'
import type { CachedPack } from './eviction.ts'
import { bytesBelow, fileSystemNowMs, writeWhole } from './files.ts'
import { readUse } from './lease.ts'
import type { FetchTiming } from './limits.ts'
import { type HeldLock, isLocked, type LockPlace, tryLock } from './lock.ts'

export type CacheOptions = {
  readonly folder: string
  /** This pod, in locks and leases. */
  readonly holder: string
  readonly timing: FetchTiming
}

const complete = '.complete'
const digestName = /^[0-9a-f]{64}$/

/**
 * A folder of packs that pods may share: `<digest>/` with the files and, once all are there,
 * `.complete`; beside them `.locks/`, `.leases/<digest>/<holder>` and `.trash/`.
 */
export class Cache {
  readonly folder: string
  readonly #holder: string
  readonly #timing: FetchTiming

  private constructor(folder: string, { holder, timing }: CacheOptions) {
    this.folder = folder
    this.#holder = holder
    this.#timing = timing
  }

  static async open(options: CacheOptions): Promise<Cache> {
    await mkdir(options.folder, { recursive: true })
    const cache = new Cache(await realpath(options.folder), options)
    for (const name of ['.locks', packLeasesFolder]) {
      await mkdir(path.join(cache.folder, name), { recursive: true })
    }
    return cache
  }

  packFolder(digest: string): string {
    return path.join(this.folder, digest)
  }

  leaseFile(digest: string): string {
    return path.join(this.folder, packLeasesFolder, digest, this.#holder)
  }

  /** Opened, not looked up: what a network file system remembers of a folder may be old. */
  async isComplete(digest: string): Promise<boolean> {
    const handle = await open(this.#markOf(digest)).catch(() => undefined)
    await handle?.close()
    return handle !== undefined
  }

  async markComplete(digest: string): Promise<void> {
    await writeWhole(this.#markOf(digest), `${digest}\n`)
  }

  async unmark(digest: string): Promise<void> {
    await rm(this.#markOf(digest), { force: true })
  }

  async tryLockPack(digest: string): Promise<HeldLock | undefined> {
    return await tryLock(this.#lock(digest))
  }

  /** For who makes room: one pod at a time. */
  async tryLockRoom(): Promise<HeldLock | undefined> {
    return await tryLock(this.#lock('room'))
  }

  /** What the evictor must know of all packs but one. */
  async packsBut(digest: string): Promise<readonly CachedPack[]> {
    const names = await readdir(this.folder)
    const others = names.filter((name) => digestName.test(name) && name !== digest)
    const nowMs = await fileSystemNowMs(path.join(this.folder, '.locks', `.now-${this.#holder}`))
    return await Promise.all(others.map(async (name) => await this.#describe(name, nowMs)))
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.folder)
    return bavail * bsize
  }

  /**
   * Removes a pack, unless somebody uses or fetches it. The mark goes first: whoever takes a lease
   * afterwards sees no complete pack, and whoever took one before is seen here.
   */
  async evict(digest: string): Promise<boolean> {
    const lock = await this.tryLockPack(digest)
    if (lock === undefined) return false
    try {
      const wasComplete = await this.isComplete(digest)
      await this.unmark(digest)
      const nowMs = await fileSystemNowMs(path.join(this.folder, '.locks', `.now-${this.#holder}`))
      if ((await this.#useOf(digest, nowMs)).inUse) {
        if (wasComplete) await this.markComplete(digest)
        return false
      }
      await this.#discard(digest)
      return true
    } finally {
      await lock.release()
    }
  }

  /** What somebody who was killed meanwhile wanted to remove. */
  async emptyTrash(): Promise<void> {
    await rm(path.join(this.folder, '.trash'), { recursive: true, force: true })
  }

  async #discard(digest: string): Promise<void> {
    const trash = path.join(this.folder, '.trash')
    await mkdir(trash, { recursive: true })
    // In one step: half a pack would look like one that is being fetched.
    await rename(this.packFolder(digest), path.join(trash, `${digest}-${this.#holder}`))
    await this.emptyTrash()
  }

  async #describe(digest: string, nowMs: number): Promise<CachedPack> {
    const [bytes, isFetched, use] = await Promise.all([
      bytesBelow(this.packFolder(digest)),
      isLocked(this.#lock(digest)),
      this.#useOf(digest, nowMs),
    ])
    const totalBytesMax = isFetched ? await this.#bytesOf(digest) : bytes
    const expectedBytes = Math.max(0, totalBytesMax - bytes)
    return { digest, bytes, expectedBytes, ...use, inUse: use.inUse || isFetched }
  }

  async #useOf(digest: string, nowMs: number) {
    const staleMs = this.#timing.leaseStaleMs
    return await readUse(path.join(this.folder, packLeasesFolder, digest), { nowMs, staleMs })
  }

  /** 0 while the manifest is not there yet: who fetches it makes room afterwards. */
  async #bytesOf(digest: string): Promise<number> {
    const read = await readAnyManifest(this.packFolder(digest)).catch(() => undefined)
    return read === undefined ? 0 : totalBytes(read.manifest.files)
  }

  #markOf(digest: string): string {
    return path.join(this.packFolder(digest), complete)
  }

  #lock(name: string): LockPlace {
    const folder = path.join(this.folder, '.locks')
    return { folder, name, holder: this.#holder, timing: this.#timing }
  }
}
