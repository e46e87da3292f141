/** A pack on the disk, or on its way there. */
export type CachedPack = {
  readonly digest: string
  /** On the disk now. */
  readonly bytes: number
  /** Still to come, for a pack that another pod fetches at this moment. */
  readonly expectedBytes: number
  /** A pod uses it, or fetches it. */
  readonly inUse: boolean
  readonly lastUseMs: number
}

export type Room = {
  /** All packs of the cache but the one that needs room. */
  readonly packs: readonly CachedPack[]
  /** That the pack has on the disk already. */
  readonly presentBytes: number
  readonly neededBytes: number
  /** For all packs of the cache together; Infinity: only the disk is a limit. */
  readonly limitBytes: number
  /** Free on the disk. */
  readonly freeBytes: number
  /** To stay free there. */
  readonly reserveBytes: number
}

export type EvictionPlan =
  | { readonly kind: 'Fits'; readonly evict: readonly string[] }
  | { readonly kind: 'Full'; readonly missingBytes: number }

/**
 * Which packs go so that another one fits: of those that nobody uses the least recently used
 * first, and no more than needed. None goes when that does not help.
 */
export function planEviction(room: Room): EvictionPlan {
  const candidates = room.packs.filter(({ inUse }) => !inUse).toSorted(byLastUse)
  let missingBytes = missingOf(room)
  const evict: string[] = []
  for (const { digest, bytes } of candidates) {
    if (missingBytes <= 0) break
    evict.push(digest)
    missingBytes -= bytes
  }
  return missingBytes <= 0 ? { kind: 'Fits', evict } : { kind: 'Full', missingBytes }
}

/** An evicted pack helps on the disk and within the limit alike: the scarcer of the two counts. */
function missingOf({ packs, limitBytes, freeBytes, ...room }: Room): number {
  const { presentBytes, neededBytes, reserveBytes } = room
  const expectedBytes = sumOf(packs, ({ expectedBytes: bytes }) => bytes)
  const usedBytes = sumOf(packs, ({ bytes }) => bytes) + expectedBytes + presentBytes
  // A pack that is there already takes nothing of the reserve.
  const diskBytes = expectedBytes + neededBytes + (neededBytes > 0 ? reserveBytes : 0)
  return Math.max(usedBytes + neededBytes - limitBytes, diskBytes - freeBytes)
}

function sumOf(packs: readonly CachedPack[], of: (pack: CachedPack) => number): number {
  return packs.reduce((sum, pack) => sum + of(pack), 0)
}

function byLastUse(left: CachedPack, right: CachedPack): number {
  if (left.lastUseMs !== right.lastUseMs) return left.lastUseMs - right.lastUseMs
  return left.digest < right.digest ? -1 : 1
}
