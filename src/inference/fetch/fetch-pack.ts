import { lstat, mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { sleep } from '../../platform/clock/sleep.ts'
import { manifestName } from '../models/manifest.ts'
import { type PackFile, totalBytes } from '../models/pack-files.ts'
import type { Cache } from './cache.ts'
import { downloadFile } from './download-file.ts'
import { fetchError } from './fetch-fault.ts'
import type { FetchedManifest } from './fetch-manifest.ts'
import { bytesBelow, isFileOf, placeFor, writeWhole } from './files.ts'
import type { PackSource } from './http-source.ts'
import { type Lease, takeLease } from './lease.ts'
import { type FetchTiming, FILES_AT_ONCE } from './limits.ts'
import type { HeldLock } from './lock.ts'
import { makeRoom } from './make-room.ts'

export type PackFetch = {
  readonly digest: string
  readonly read: FetchedManifest
  readonly cache: Cache
  readonly source: PackSource
  readonly limitBytes: number
  readonly timing: FetchTiming
  readonly random: () => number
  /** How many bytes of the pack are there. */
  readonly onBytes: (bytes: number) => void
  readonly onEvicted: (digest: string) => void
  /** Of faults that are tried again. */
  readonly onError: (error: unknown, doing: string) => void
  readonly signal: AbortSignal
}

/**
 * Has a pack in its cache, complete, with a lease of this pod on it, which is returned. Of several
 * pods that want it one fetches and the others wait; when that one dies, another goes on where it
 * ended.
 * @throws AppError model.fetch_failed, model.cache_full, model.pack_invalid
 */
export async function fetchPack(fetch: PackFetch): Promise<Lease> {
  const { cache, digest, signal, timing } = fetch
  const onError = (error: unknown) => fetch.onError(error, 'renewing the lease')
  // Before the look whether the pack is there: from now on nobody evicts it.
  const lease = await takeLease(cache.leaseFile(digest), { onError, beatMs: timing.leaseBeatMs })
  try {
    while (!(await isWhole(fetch))) {
      signal.throwIfAborted()
      const lock = await cache.tryLockPack(digest)
      if (lock !== undefined) await fetchLocked(fetch, lock)
      else await waitForOther(fetch, timing.pollMs)
    }
    fetch.onBytes(totalBytes(fetch.read.manifest.files))
    return lease
  } catch (error) {
    lease.handOver()
    throw error
  }
}

async function waitForOther(fetch: PackFetch, pollMs: number): Promise<void> {
  fetch.onBytes(await bytesBelow(fetch.cache.packFolder(fetch.digest)))
  await sleep(pollMs, fetch.signal)
}

/** Complete, and the files are still there; their digests are compared by whoever loads them. */
async function isWhole({ cache, digest, read }: PackFetch): Promise<boolean> {
  if (!(await cache.isComplete(digest))) return false
  const folder = cache.packFolder(digest)
  const files = [...read.manifest.files, { path: manifestName, sizeBytes: read.bytes.length }]
  for (const { path: file, sizeBytes } of files) {
    const isThere = await isFileOf(await placeFor(folder, file), sizeBytes)
    if (!isThere) return false
  }
  return true
}

async function fetchLocked(fetch: PackFetch, lock: HeldLock): Promise<void> {
  const failed = new AbortController()
  const signal = AbortSignal.any([fetch.signal, lock.lost, failed.signal])
  try {
    await fetchAll({ ...fetch, signal }, lock, failed)
  } catch (error) {
    fetch.signal.throwIfAborted()
    if (!lock.lost.aborted) throw error
    // Another pod goes on with it; this one waits for that.
    fetch.onError(error, 'keeping the lock of the pack')
  } finally {
    await lock.release()
  }
}

async function fetchAll(fetch: PackFetch, lock: HeldLock, failed: AbortController): Promise<void> {
  const { cache, digest, read, limitBytes, timing, signal, onEvicted } = fetch
  // Somebody may have ended it between the look and the lock.
  if (await isWhole(fetch)) return
  const folder = cache.packFolder(digest)
  await makeFolder(folder)
  await cache.unmark(digest)
  await writeWhole(path.join(folder, manifestName), read.bytes)
  const sizeBytes = totalBytes(read.manifest.files)
  await makeRoom(cache, { digest, sizeBytes, limitBytes, pollMs: timing.pollMs, signal, onEvicted })
  const partsFolder = path.join(folder, '.parts')
  await makeFolder(partsFolder)
  await downloadFiles({ ...fetch, folder, partsFolder }, failed)
  await lock.confirm()
  await rm(partsFolder, { recursive: true, force: true })
  await cache.markComplete(digest)
}

type FilesFetch = PackFetch & { readonly folder: string; readonly partsFolder: string }

/** Several at a time; when one cannot be had the others stop, and keep what they have. */
async function downloadFiles(fetch: FilesFetch, failed: AbortController): Promise<void> {
  const { read, source, folder, partsFolder, timing, random, signal } = fetch
  const done = new Map<string, number>()
  const waiting = [...read.manifest.files]
  const download = async (file: PackFile) =>
    await downloadFile(file, {
      source,
      folder,
      partsFolder,
      timing,
      random,
      signal,
      onBytes: (bytes) => {
        done.set(file.path, bytes)
        fetch.onBytes([...done.values()].reduce((sum, each) => sum + each, 0))
      },
      onRetry: (error) => fetch.onError(error, `fetching ${file.path}`),
    })
  const work = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      signal.throwIfAborted()
      await download(file)
    }
  }
  const workers = Array.from({ length: FILES_AT_ONCE }, async () => {
    await work().catch((error: unknown) => {
      failed.abort(error)
      throw error
    })
  })
  const ends = await Promise.allSettled(workers)
  if (ends.some(({ status }) => status === 'rejected')) throw failed.signal.reason
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch(() => undefined)
  const found = await lstat(folder).catch(() => undefined)
  if (found?.isDirectory() === true) return
  throw fetchError(path.basename(folder), 'is not a folder in the cache')
}
