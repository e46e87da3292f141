import type { FetchConfig } from '../../platform/config/fetch.ts'
import type { Clock } from '../../shared/clock.ts'
import type { FetchProgress } from '../../shared/wire/internal.ts'
import { AppError } from '../../shared/errors.ts'
import { totalBytes } from '../models/pack-files.ts'
import { Cache } from './cache.ts'
import { readCredentials } from './credentials.ts'
import { type FetchedManifest, fetchManifest } from './fetch-manifest.ts'
import { fetchPack } from './fetch-pack.ts'
import { isDiskFull } from './files.ts'
import { openSource, type PackSource } from './http-source.ts'
import type { Lease } from './lease.ts'
import { type FetchTiming, POST_EVERY_MS } from './limits.ts'
import { Progress } from './progress.ts'

export type FetchOptions = Pick<FetchConfig, 'packs' | 'holder' | 's3Region' | 'allowHttp'> & {
  readonly timing: FetchTiming
  readonly clock: Clock
  readonly random: () => number
  readonly signal: AbortSignal
  /** Called once a second, and at the end. */
  readonly onProgress: (progress: FetchProgress) => void
  readonly onEvicted: (digest: string) => void
  readonly onError: (error: unknown, doing: string) => void
}

/**
 * Has all packs of a pod in their caches. What there is to fetch is known, by the manifests,
 * before the first file comes.
 * @throws AppError model.fetch_failed, model.cache_full, model.pack_invalid
 */
export async function fetchPacks(options: FetchOptions): Promise<void> {
  const { packs, signal, clock, onProgress } = options
  const prepared: Prepared[] = []
  for (const pack of packs) {
    signal.throwIfAborted()
    prepared.push(await orFull(pack, async () => await prepare(pack, options)))
  }
  const totals = prepared.map(({ read }) => totalBytes(read.manifest.files))
  const progress = new Progress(clock, totals)
  const timer = setInterval(() => onProgress(progress.now()), POST_EVERY_MS)
  const leases: Lease[] = []
  try {
    onProgress(progress.now())
    for (const [index, pack] of prepared.entries()) {
      const onBytes = (bytes: number) => progress.note(index, bytes)
      const place = { cache: pack.cache.folder, digest: pack.digest }
      const fetching = async () => await fetchPack({ ...options, ...pack, onBytes })
      leases.push(await orFull(place, fetching))
    }
    onProgress(progress.now())
  } finally {
    clearInterval(timer)
    // All of them now: those that are there first would be evicted while the last ones come.
    for (const lease of leases) lease.handOver()
  }
}

/** A disk that is full to its last byte has not even room for a lock or a lease. */
async function orFull<T>(
  { cache, digest }: Pick<Pack, 'cache' | 'digest'>,
  action: () => Promise<T>,
): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (!isDiskFull(error)) throw error
    const message = `${cache}: the disk is full: there is no room for the pack ${digest}`
    throw new AppError('model.cache_full', message, { cause: error })
  }
}

type Pack = FetchConfig['packs'][number]
type Prepared = {
  readonly digest: string
  readonly limitBytes: number
  readonly cache: Cache
  readonly source: PackSource
  readonly read: FetchedManifest
}

async function prepare(pack: Pack, options: FetchOptions): Promise<Prepared> {
  const { digest, limitBytes = Infinity } = pack
  const { timing, holder, s3Region, allowHttp, clock } = options
  const cache = await Cache.open({ folder: pack.cache, holder, timing })
  const credentials = await readCredentials(pack.credentials, s3Region)
  const { stallMs } = timing
  const source = openSource({ url: pack.url, credentials, allowHttp, stallMs, clock })
  const place = { folder: cache.packFolder(digest), digest }
  const read = await fetchManifest(place, { ...options, source })
  return { digest, limitBytes, cache, source, read }
}
