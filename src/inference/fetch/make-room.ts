import { sleep } from '../../platform/clock/sleep.ts'
import { AppError } from '../../shared/errors.ts'
import type { Cache } from './cache.ts'
import { planEviction } from './eviction.ts'
import { bytesBelow } from './files.ts'
import { EVICTION_PLANS_MAX, RESERVE_BYTES } from './limits.ts'

export type RoomRequest = {
  readonly digest: string
  /** Of the whole pack. */
  readonly sizeBytes: number
  readonly limitBytes: number
  readonly pollMs: number
  readonly signal: AbortSignal
  readonly onEvicted: (digest: string) => void
}

/**
 * Evicts least recently used packs until the pack fits into the cache's limit and onto its disk.
 * What it needs counts as taken as soon as its lock is held and its manifest is there.
 * @throws AppError model.cache_full
 */
export async function makeRoom(cache: Cache, request: RoomRequest): Promise<void> {
  const { signal, pollMs } = request
  for (;;) {
    const lock = await cache.tryLockRoom()
    if (lock !== undefined) {
      try {
        return await evictUntilItFits(cache, request)
      } finally {
        await lock.release()
      }
    }
    await sleep(pollMs, signal)
    signal.throwIfAborted()
  }
}

async function evictUntilItFits(cache: Cache, request: RoomRequest): Promise<void> {
  await cache.emptyTrash()
  for (let plans = 0; plans < EVICTION_PLANS_MAX; plans += 1) {
    const plan = await planFor(cache, request)
    if (plan.kind === 'Full') throw cacheFull(cache, request, plan.missingBytes)
    if (plan.evict.length === 0) return
    for (const digest of plan.evict) {
      request.signal.throwIfAborted()
      if (await cache.evict(digest)) request.onEvicted(digest)
    }
  }
  throw cacheFull(cache, request, 0)
}

async function planFor(cache: Cache, { digest, sizeBytes, limitBytes }: RoomRequest) {
  const packs = await cache.packsBut(digest)
  const presentBytes = await bytesBelow(cache.packFolder(digest))
  const neededBytes = Math.max(0, sizeBytes - presentBytes)
  const freeBytes = await cache.freeBytes()
  const room = { packs, presentBytes, neededBytes, limitBytes, freeBytes }
  return planEviction({ ...room, reserveBytes: RESERVE_BYTES })
}

function cacheFull(
  { folder }: Cache,
  { sizeBytes, limitBytes }: RoomRequest,
  missingBytes: number,
): AppError {
  const limit = limitBytes === Infinity ? 'its disk' : `its limit of ${limitBytes} bytes`
  const fault = `a pack of ${sizeBytes} bytes does not fit within ${limit}`
  const message = `${folder}: ${fault}: ${missingBytes} are missing, and other packs are in use`
  return new AppError('model.cache_full', message)
}
